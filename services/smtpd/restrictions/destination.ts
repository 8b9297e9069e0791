/**
 * Restrictions that keep this server from being an open relay: permit_auth_destination, reject_unauth_destination,
 * defer_unauth_destination. A recipient is authorised where its domain is one that this system is final destination or
 * relay for, and where its localpart holds no route chosen by the sender. See postconf(5).
 */
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import type { RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { resolved } from './resolved.ts';
import { AUTHORIZED, type Subject } from './subject.ts';
import { type MaybePromise, refuse, type Verdict } from './verdict.ts';

type Judge = (subject: Subject, recipient: string, reply: ResolveReply) => MaybePromise<Verdict>;

/** Hands what the recipient is to `judge`. */
export function resolvedRecipient(
  environment: RestrictionEnvironment,
  subject: Subject,
  judge: Judge,
): MaybePromise<Verdict> {
  const recipient = subject.recipient ?? '';
  return resolved(environment, subject, { address: recipient, sender: subject.sender ?? '' }, (reply) =>
    judge(subject, recipient, reply),
  );
}

/** True where mail for the address is taken from anybody. */
export function isAuthorized(reply: ResolveReply, allowRouting: boolean): boolean {
  if ((reply.flags & ResolveFlag.ERROR) !== 0) return false;
  if ((reply.flags & ResolveFlag.ROUTED) !== 0 && !allowRouting) return false;
  return (reply.flags & AUTHORIZED) !== 0;
}

function unauthorized(environment: RestrictionEnvironment, code: number): Judge {
  const allowRouting = environment.configuration.boolean('allow_untrusted_routing');
  return (subject, recipient, reply) => {
    if (isAuthorized(reply, allowRouting)) return 'dunno';
    return refuse(environment, subject, code, '5.7.1', `<${recipient}>: Relay access denied`);
  };
}

export const destinationRestrictions: RestrictionTable = {
  permit_auth_destination: {
    make: (environment) => {
      const allowRouting = environment.configuration.boolean('allow_untrusted_routing');
      const judge: Judge = (_subject, _recipient, reply) => (isAuthorized(reply, allowRouting) ? 'permit' : 'dunno');
      return (subject) => (subject.recipient === undefined ? 'dunno' : resolvedRecipient(environment, subject, judge));
    },
  },
  reject_unauth_destination: {
    make: (environment) => {
      const judge = unauthorized(environment, environment.configuration.integer('relay_domains_reject_code'));
      return (subject) => (subject.recipient === undefined ? 'dunno' : resolvedRecipient(environment, subject, judge));
    },
  },
  defer_unauth_destination: {
    make: (environment) => {
      // The status follows the class of the code: 4.7.1.
      const judge = unauthorized(environment, 454);
      return (subject) => (subject.recipient === undefined ? 'dunno' : resolvedRecipient(environment, subject, judge));
    },
  },
};
