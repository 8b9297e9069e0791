/**
 * Restrictions on the form of names and addresses: reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname,
 * reject_non_fqdn_sender, reject_non_fqdn_recipient, with their names of old. See postconf(5).
 */
import { isIPv4, isIPv6 } from 'node:net';
import { isAddressLiteral, isHostName } from '../../../lib/mail/mail-domain.ts';
import type { Check, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { type ReplyClass, refuse } from './verdict.ts';

function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Name of a host, or an address with or without brackets. */
export function isValidHelo(name: string): boolean {
  if (name.startsWith('[')) return isAddressLiteral(name);
  const bare = withoutFinalDot(name);
  return isIPv4(bare) || isIPv6(bare) || isHostName(bare);
}

function isQualified(domain: string): boolean {
  const bare = withoutFinalDot(domain);
  return isHostName(bare) && bare.includes('.');
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
