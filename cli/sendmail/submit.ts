/** sendmail's main work: a message from standard input into MAILDROP. */
import { Envelope } from '../../lib/clients/protocols.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
import { parseAddressList } from '../../lib/mail/tok822.ts';
import {
  callingUser,
  checkSubmitter,
  limitSize,
  postMessage,
  type Submitter,
} from '../../lib/queue/maildrop-client.ts';
import { encodeXtext } from '../../lib/smtp/xtext.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { fixLineEnds, type LineEndFix, untilDot, withFrom, withoutFromLine } from './input.ts';
import type { SendmailOptions } from './options.ts';

/** Bits of trace_flags in the envelope: sendmail -bv, and -v. */
const VERIFY_ONLY = 1;
const REPORT = 2;

interface Io {
  readonly stdin: NodeJS.ReadableStream;
  readonly environment: NodeJS.ProcessEnv;
}

/** Rejects with FatalError. */
export async function submit(options: SendmailOptions, configuration: Configuration, io: Io): Promise<void> {
  if (options.recipients.length === 0 && !options.extractRecipients) {
    throw new FatalError('Recipient addresses must be specified on the command line or via the -t option', {
      exitCode: EX.USAGE,
    });
  }
  if (options.mode === 'verify' && options.extractRecipients) {
    throw new FatalError('-t option cannot be used with -bv', { exitCode: EX.USAGE });
  }
  const user = callingUser();
  const envelope = makeEnvelope(options, configuration, user);
  await checkSubmitter(configuration, user, envelope.sender);
  const content = options.mode === 'verify' ? probe(envelope) : message(options, envelope, configuration, io);
  const limited = limitSize(content, configuration.integer('message_size_limit'), user);
  await postMessage(configuration, { envelope, extractRecipients: options.extractRecipients }, limited);
}

function makeEnvelope(options: SendmailOptions, configuration: Configuration, user: Submitter): Envelope {
  const sender = options.sender === undefined ? user.login : readSender(options.sender);
  const addresses = options.recipients
    .flatMap((argument) => parseAddressList(argument))
    .filter((address) => address !== '');
  if (options.recipients.length > 0 && addresses.length === 0) {
    throw new FatalError('no recipient addresses found in the arguments', { exitCode: EX.USAGE });
  }
  const needsUtf8 = [sender, ...addresses].some((address) => /[^\0-\x7f]/.test(address));
  return Envelope.create({
    sender,
    recipients: addresses.map((address) => ({ address, dsnNotify: options.notify })),
    encoding: options.encoding,
    smtputf8: needsUtf8 && configuration.boolean('smtputf8_enable'),
    dsnEnvid: encodeXtext(options.envelopeId),
    dsnRet: options.returned,
    rewriteContext: options.gateway ? 'remote' : 'local',
    senderLogin: user.login,
    senderUid: user.uid,
    verpDelimiters: readVerp(options.verp, configuration),
    traceFlags: (options.mode === 'verify' ? VERIFY_ONLY : 0) | (options.verbose ? REPORT : 0),
  });
}

/** `user`, `<user@example.org>`, or nothing for the null sender. */
function readSender(text: string): string {
  if (text === '' || text === '<>') return '';
  const [address, ...others] = parseAddressList(text);
  if (address === undefined || others.length > 0) {
    throw new FatalError(`malformed sender address "${text}"`, { exitCode: EX.USAGE });
  }
  return address;
}

function readVerp(verp: string | undefined, configuration: Configuration): string {
  if (verp === undefined) return '';
  const delimiters = verp === '' ? configuration.text('default_verp_delimiters') : verp;
  const allowed = configuration.text('verp_delimiter_filter');
  if (delimiters.length === 2 && [...delimiters].every((char) => allowed.includes(char))) return delimiters;
  throw new FatalError(`-XV${verp}: VERP delimiters must be two characters of "${allowed}"`, { exitCode: EX.USAGE });
}

async function* probe(envelope: Envelope): AsyncGenerator<Buffer> {
  const recipients = envelope.recipients.map(({ address }) => quote822Local(address).replace(/[\r\n]/g, ' '));
  yield Buffer.from(`Subject: probe\nTo: ${recipients.join(',\n\t')}\n\n`, 'utf8');
}

function message(
  options: SendmailOptions,
  envelope: Envelope,
  configuration: Configuration,
  io: Io,
): AsyncIterable<Buffer> {
  const fix = configuration.text('sendmail_fix_line_endings');
  if (fix !== 'always' && fix !== 'strict' && fix !== 'never') {
    throw new FatalError(`sendmail_fix_line_endings = ${fix}: expected always, strict or never`);
  }
  const lines = fixLineEnds(io.stdin as AsyncIterable<Buffer>, fix satisfies LineEndFix);
  const ended = withoutFromLine(options.dotEnds ? untilDot(lines) : lines);
  const fullName = (options.fullName ?? io.environment.NAME ?? '').replace(/[\0-\x1f\x7f]/g, ' ').trim();
  if (fullName === '' || envelope.sender === '') return ended;
  return withFrom(ended, `${phrase(fullName)} <${quote822Local(envelope.sender)}>`);
}

/** A display name: atoms as they are, anything else as a quoted string. */
function phrase(name: string): string {
  return /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+$/.test(name) ? name : `"${name.replace(/["\\]/g, '\\$&')}"`;
}
