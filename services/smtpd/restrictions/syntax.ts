/**
 * Restrictions on the form of names and addresses: reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname,
 * reject_non_fqdn_sender, reject_non_fqdn_recipient, with their names of old. See postconf(5).
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { Check, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { type ReplyClass, refuse } from './verdict.ts';

const LABEL = 63;
const NAME = 255;

/** Letters, digits, hyphens and underscores in labels of at most 63, not all numeric; beyond ASCII anything goes. */
export function isHostname(name: string): boolean {
  if (name.length === 0 || name.length > NAME) return false;
  let length = 0;
  let letters = false;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === 46) {
      if (length === 0 || name.charCodeAt(at - 1) === 45) return false;
      length = 0;
      continue;
    }
    const digit = code >= 48 && code <= 57;
    const letter = (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || code > 127;
    if (code === 45) {
      if (length === 0) return false;
      letters = true;
    } else if (!digit && !letter) return false;
    if (letter) letters = true;
    if (++length > LABEL) return false;
  }
  return length > 0 && letters && name.charCodeAt(name.length - 1) !== 45;
}

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3). */
export function isAddressLiteral(text: string): boolean {
  if (!text.startsWith('[') || !text.endsWith(']')) return false;
  const inner = text.slice(1, -1);
  if (isIPv4(inner)) return true;
  return inner.slice(0, 5).toLowerCase() === 'ipv6:' && isIPv6(inner.slice(5)) && !inner.includes('%');
}

function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Name of a host, or an address with or without brackets. */
export function isValidHelo(name: string): boolean {
  if (name.startsWith('[')) return isAddressLiteral(name);
  const bare = withoutFinalDot(name);
  return isIPv4(bare) || isIPv6(bare) || isHostname(bare);
}

function isQualified(domain: string): boolean {
  const bare = withoutFinalDot(domain);
  return isHostname(bare) && bare.includes('.');
}

function isQualifiedAddress(address: string): boolean {
  const at = address.lastIndexOf('@');
  if (at < 0) return false;
  const domain = address.slice(at + 1);
  return domain.startsWith('[') ? isAddressLiteral(domain) : isQualified(domain);
}

function invalidHelo(environment: RestrictionEnvironment): Check {
  const code = environment.configuration.integer('invalid_hostname_reject_code');
  return (subject) =>
    subject.heloName === '' || isValidHelo(subject.heloName)
      ? 'dunno'
      : refuse(environment, subject, code, '5.5.2', `<${subject.heloName}>: Helo command rejected: Invalid name`);
}

function unqualifiedHelo(environment: RestrictionEnvironment): Check {
  const code = environment.configuration.integer('non_fqdn_reject_code');
  return (subject) => {
    const { heloName } = subject;
    if (heloName === '' || (heloName.startsWith('[') ? isAddressLiteral(heloName) : isQualified(heloName)))
      return 'dunno';
    const text = `<${heloName}>: Helo command rejected: need fully-qualified hostname`;
    return refuse(environment, subject, code, '5.5.2', text);
  };
}

function unqualifiedAddress(replyClass: ReplyClass, of: 'sender' | 'recipient'): Restriction {
  return {
    make: (environment) => {
      const code = environment.configuration.integer('non_fqdn_reject_code');
      return (subject) => {
        const address = subject[of];
        if (address === undefined || address === '' || isQualifiedAddress(address)) return 'dunno';
        const text = `<${address}>: ${replyClass} rejected: need fully-qualified address`;
        return refuse(environment, subject, code, '5.5.2', text);
      };
    },
  };
}

const rejectInvalidHelo: Restriction = { make: invalidHelo };
const rejectUnqualifiedHelo: Restriction = { make: unqualifiedHelo };

export const syntaxRestrictions: RestrictionTable = {
  reject_invalid_helo_hostname: rejectInvalidHelo,
  reject_invalid_hostname: rejectInvalidHelo,
  reject_non_fqdn_helo_hostname: rejectUnqualifiedHelo,
  reject_non_fqdn_hostname: rejectUnqualifiedHelo,
  reject_non_fqdn_sender: unqualifiedAddress('Sender address', 'sender'),
  reject_non_fqdn_recipient: unqualifiedAddress('Recipient address', 'recipient'),
};
