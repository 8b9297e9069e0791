/**
 * The keys under which access(5) tables are asked, in their order: host names with their parent domains, addresses with
 * the networks above them, mail addresses with and without extension.
 */
import { isIP } from 'node:net';
import { quote822Local } from '../../../lib/mail/quote822.ts';
import { stripAddress } from '../../../lib/mail/strip-address.ts';
import type { RestrictionEnvironment } from './environment.ts';

export interface Key {
  readonly key: string;
  /** A part of what is looked for: tables of patterns see whole names only. */
  readonly partial: boolean;
  /** What the key is a part of, where that is not the last key before it that is not partial. */
  readonly whole?: string;
  /** The sender chose a route, and nothing that the table says lets such an address in. */
  readonly routed?: boolean;
}

/** A name, then the domains above it: `parent`, or `.parent` where smtpd_access_maps is not among those that match so. */
export function nameKeys(environment: RestrictionEnvironment): (name: string) => Key[] {
  const plain = environment.configuration.list('parent_domain_matches_subdomains').includes('smtpd_access_maps');
  return (name) => {
    const keys: Key[] = [{ key: name, partial: false }];
    // The domain above 192.0.2.1 is not 0.2.1.
    if (isIP(name) !== 0) return keys;
    for (let dot = name.indexOf('.', 1); dot >= 0 && dot + 1 < name.length; dot = name.indexOf('.', dot + 1)) {
      keys.push({ key: name.slice(plain ? dot + 1 : dot), partial: true });
    }
    return keys;
  };
}

/** 192.0.2.1, 192.0.2, 192.0, 192; groups of IPv6 likewise. */
export function addressKeys(address: string): Key[] {
  const keys: Key[] = [{ key: address, partial: false }];
  const separator = address.includes(':') ? ':' : '.';
  let rest = address;
  for (let at = rest.lastIndexOf(separator); at > 0; at = rest.lastIndexOf(separator)) {
    rest = rest.slice(0, at);
    while (rest.endsWith(':')) rest = rest.slice(0, -1);
    if (rest !== '') keys.push({ key: rest, partial: true });
  }
  return keys;
}

/**
 * user+ext@domain, user@domain, domain and those above it, user+ext@, user@. A local part that needs quotes stands in them,
 * and then, as in tables of old, without.
 */
export function mailKeys(environment: RestrictionEnvironment): (address: string) => Key[] {
  const names = nameKeys(environment);
  const { configuration } = environment;
  const delimiter = configuration.text('recipient_delimiter');
  const options = {
    doubleBounceSender: configuration.text('double_bounce_sender'),
    ownerRequestSpecial: configuration.boolean('owner_request_special'),
  };
  const inForm = (address: string, write: (text: string) => string): Key[] => {
    const localPart = (written: string): string => written.slice(0, written.lastIndexOf('@') + 1);
    const written = write(address);
    const keys: Key[] = [{ key: written, partial: false, whole: address }];
    const add = (key: string): void => void keys.push({ key, partial: true, whole: address });
    const bare = stripAddress(address, delimiter, options)?.stripped;
    const stripped = bare === undefined ? undefined : write(bare);
    if (stripped !== undefined) add(stripped);
    for (const { key } of names(address.slice(address.lastIndexOf('@') + 1))) if (key !== '') add(key);
    add(localPart(written));
    if (stripped !== undefined) add(localPart(stripped));
    return keys;
  };
  return (address) => {
    const quoted = inForm(address, (text) => quote822Local(text));
    return quoted[0]!.key === address ? quoted : [...quoted, ...inForm(address, (text) => text)];
  };
}
