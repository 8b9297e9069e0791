/**
 * Syntax of host names and of numerical addresses, with the complaint for each mistake in the words of Postfix's log lines
 * (RFC 1035 section 2.3.1, RFC 4291 section 2.2). Names are ASCII; idna.ts brings others into that form.
 */
import { encodeBytes } from './byte-text.ts';

const MAX_NAME = 255;
const MAX_LABEL = 63;

export interface HostnameOptions {
  /** `*` may be the first label. */
  readonly wildcard?: boolean;
}

/** What is wrong with a host name, undefined where nothing is. A name of digits and dots alone is not a host name. */
export function hostnameProblem(name: string, options: HostnameOptions = {}): string | undefined {
  const complain = (what: string): string => `valid_hostname: ${what}: ${name}`;
  if (name === '') return 'valid_hostname: empty hostname';
  let labelLength = 0;
  let numeric = true;
  for (let at = 0; at < name.length; at++) {
    const character = name[at]!;
    if (character === '.') {
      if (labelLength === 0 || at === name.length - 1) return complain('misplaced delimiter');
      labelLength = 0;
      continue;
    }
    labelLength += 1;
    if (labelLength > MAX_LABEL) return complain('hostname label too long');
    if (/[0-9]/.test(character)) continue;
    numeric = false;
    if (/[A-Za-z_]/.test(character)) continue;
    if (character === '-') {
      const next = name[at + 1];
      if (labelLength === 1 || next === undefined || next === '.') return complain('misplaced hyphen');
    } else if (character === '*' && options.wildcard) {
      if (at > 0 || (name.length > 1 && name[1] !== '.')) return complain("'*' can be the first label only");
    } else return complain(`invalid character ${firstByte(name, at)}(decimal)`);
  }
  if (numeric) return complain('numeric hostname');
  return name.length > MAX_NAME ? `valid_hostname: bad length ${name.length} for ${name.slice(0, 100)}...` : undefined;
}

export function isHostname(name: string, options?: HostnameOptions): boolean {
  return hostnameProblem(name, options) === undefined;
}

/** What is wrong with a numerical address, IPv4 or, where there is a colon, IPv6; undefined where nothing is. */
export function addressProblem(address: string): string | undefined {
  if (address === '') return 'valid_hostaddr: empty address';
  return address.includes(':') ? ipv6Problem(address) : ipv4Problem(address);
}

export function isAddress(text: string): boolean {
  return addressProblem(text) === undefined;
}

function ipv4Problem(address: string): string | undefined {
  const complain = (what: string): string => `valid_ipv4_hostaddr: ${what}: ${address}`;
  let octet = -1;
  let octets = 0;
  for (let at = 0; at < address.length; at++) {
    const character = address[at]!;
    if (character >= '0' && character <= '9') {
      if (octet < 0) octets += 1;
      octet = Math.max(octet, 0) * 10 + Number(character);
      if (octet > 255) return complain('invalid octet value');
    } else if (character !== '.') return complain(`invalid character ${firstByte(address, at)}(decimal)`);
    else {
      if (octet < 0 || at === address.length - 1) return complain('misplaced dot');
      if (octets === 1 && octet === 0 && /[1-9]/.test(address)) return complain('bad initial octet value');
      octet = -1;
    }
  }
  return octets === 4 ? undefined : complain('invalid octet count');
}

function ipv6Problem(address: string): string | undefined {
  const complain = (what: string): string => `valid_ipv6_hostaddr: ${what}: ${address}`;
  const fields = address.split(':');
  let gaps = 0;
  for (const [at, field] of fields.entries()) {
    const isLast = at === fields.length - 1;
    if (at > 7 && field !== '') return complain("too many `:' in IPv6 address");
    if (field === '') {
      if (at === 0 && fields[1] !== '') return complain('bad null first field in IPv6 address');
      if (isLast && fields[at - 1] !== '') return complain('bad null last field in IPv6 address');
      if (at === 0 && fields.length === 2) return complain("too few `:' in IPv6 address");
      if (at > 0 && !isLast && ++gaps > 1) return complain("too many `::' in IPv6 address");
    } else if (isLast && field.includes('.')) {
      return at < 2 || at > 6 ? complain('malformed IPv4-in-IPv6 address') : ipv4Problem(field);
    } else {
      const wrong = /[^0-9a-fA-F]/u.exec(field)?.[0];
      if (wrong !== undefined) return complain(`invalid character ${firstByte(wrong, 0)}(decimal) in IPv6 address`);
      if (field.length > 4) return complain('malformed IPv6 address');
    }
  }
  return gaps === 0 && fields.length < 8 ? complain("too few `:' in IPv6 address") : undefined;
}

/** The byte that a complaint names: the first of the character at that place. */
function firstByte(text: string, at: number): number {
  return encodeBytes(String.fromCodePoint(text.codePointAt(at)!))[0]!;
}
