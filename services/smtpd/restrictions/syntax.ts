/**
 * Restrictions on the form of names and addresses: reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname,
 * reject_non_fqdn_sender, reject_non_fqdn_recipient, with their names of old. See postconf(5).
 */
import { isIPv4, isIPv6 } from 'node:net';
import { isAddressLiteral, isHostName } from '../../../lib/mail/mail-domain.ts';
import type { Check, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import type { Subject } from './subject.ts';
import { type ReplyClass, refuse, type Verdict } from './verdict.ts';

function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Name of a host, or an address without brackets. */
function isValidName(name: string): boolean {
  const bare = withoutFinalDot(name);
  return isIPv4(bare) || isIPv6(bare) || isHostName(bare, false);
}

function isQualified(domain: string, utf8: boolean): boolean {
  const bare = withoutFinalDot(domain);
  return isHostName(bare, utf8) && bare.includes('.');
}

function isQualifiedAddress(address: string, utf8: boolean): boolean {
  const at = address.lastIndexOf('@');
  if (at < 0) return false;
  const domain = address.slice(at + 1);
  return domain.startsWith('[') ? isAddressLiteral(domain) : isQualified(domain, utf8);
}

/** What begins with a bracket is to be an address, for every restriction on HELO names. */
export function judgeLiteral(environment: RestrictionEnvironment, subject: Subject): Verdict {
  const { heloName } = subject;
  if (isAddressLiteral(heloName)) return 'dunno';
  const code = environment.configuration.integer('invalid_hostname_reject_code');
  return refuse(environment, subject, code, '5.5.2', `<${heloName}>: Helo command rejected: invalid ip address`);
}

function invalidHelo(environment: RestrictionEnvironment): Check {
  const code = environment.configuration.integer('invalid_hostname_reject_code');
  return (subject) => {
    const { heloName } = subject;
    if (heloName.startsWith('[')) return judgeLiteral(environment, subject);
    if (heloName === '' || isValidName(heloName)) return 'dunno';
    return refuse(environment, subject, code, '5.5.2', `<${heloName}>: Helo command rejected: Invalid name`);
  };
}

function unqualifiedHelo(environment: RestrictionEnvironment): Check {
  const code = environment.configuration.integer('non_fqdn_reject_code');
  return (subject) => {
    const { heloName } = subject;
    if (heloName.startsWith('[')) return judgeLiteral(environment, subject);
    if (heloName === '' || isQualified(heloName, false)) return 'dunno';
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
        if (address === undefined || address === '' || isQualifiedAddress(address, subject.smtputf8)) return 'dunno';
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
