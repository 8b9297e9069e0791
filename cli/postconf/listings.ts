/**
 * What postconf tells about the program itself: table types (-m), mailbox locks (-l), SASL plug-ins (-a, -A), the TLS
 * library (-T), the templates of notices (-b, -t).
 */
import { expandTemplate, loadBounceTemplates } from '../../lib/config/bounce-templates.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { BOUNCE_TEMPLATE_NAMES, type BounceTemplate } from '../../lib/mail/bounce-template.ts';
import { tableTypes } from '../../lib/tables/open.ts';
import { FatalError } from '../../lib/util/errors.ts';
import type { Options } from './options.ts';

/** Mailbox locking methods of the delivery agents. Locks of the kernel are out of Node's reach. */
const lockTypes = ['dotlock'];
const serverSaslTypes = ['dovecot'];
const clientSaslTypes = ['cyrus'];
const publicKeyAlgorithms = ['ecdsa', 'ed25519', 'ed448', 'rsa'];

/** A word after -T that names nothing: said as a warning, and yet the end. */
export class UnknownTlsModeError extends FatalError {}

/** Lines of the listing asked for. */
export async function listing(
  options: Options,
  directory: string,
  warn: (text: string) => void,
): Promise<readonly string[]> {
  switch (options.listing) {
    case 'a':
      return serverSaslTypes;
    case 'A':
      return clientSaslTypes;
    case 'l':
      return lockTypes;
    case 'm':
      return tableTypes;
    case 'T':
      return tlsFeature(options.tlsMode);
    default:
      return bounceTemplates(options, directory, warn);
  }
}

/** Throws UnknownTlsModeError. */
function tlsFeature(mode: string): readonly string[] {
  switch (mode) {
    case 'compile-version':
    case 'run-version':
      return [`OpenSSL ${process.versions.openssl}`];
    case 'public-key-algorithms':
      return publicKeyAlgorithms;
    default:
      throw new UnknownTlsModeError(`unknown 'postconf -T' mode: ${mode}`);
  }
}

function headerOf({ charset, from, subject, postmasterSubject }: BounceTemplate): string[] {
  const header = [`Charset: ${charset}`, `From: ${from}`, `Subject: ${subject}`];
  return postmasterSubject === undefined ? header : [...header, `Postmaster-Subject: ${postmasterSubject}`];
}

/** -t shows templates as they are, -b what stands at the beginning of a notice. */
function bounceTemplates(options: Options, directory: string, warn: (text: string) => void): string[] {
  const file = options.operands[0];
  const configuration = Configuration.load(directory, {
    overrides: new Map([
      ...options.overrides,
      ...(file === undefined ? [] : [['bounce_template_file', file] as const]),
    ]),
    program: 'postconf',
  });
  const templates = loadBounceTemplates(configuration, warn);
  return BOUNCE_TEMPLATE_NAMES.flatMap((name, index) => {
    const template = templates[name];
    const separator = index === 0 ? [] : [''];
    return options.listing === 'b'
      ? [...separator, `expanded_${name}_text = <<EOF`, ...expandTemplate(template, configuration, warn), 'EOF']
      : [...separator, `${name}_template = <<EOF`, ...headerOf(template), '', ...template.text, 'EOF'];
  });
}
