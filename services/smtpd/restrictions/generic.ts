/**
 * Restrictions that can stand in any list and look at nothing but the client: permit, reject, defer, defer_if_permit,
 * defer_if_reject, permit_mynetworks, permit_inet_interfaces, permit_sasl_authenticated, reject_plaintext_session,
 * reject_multi_recipient_bounce, reject_unauth_pipelining, sleep. See postconf(5), "Generic restrictions".
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ownAddresses } from '../../../lib/config/own-addresses.ts';
import { TableError } from '../../../lib/tables/table.ts';
import type { ListKind, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { replySubjects } from './reply-subject.ts';
import type { Subject } from './subject.ts';
import { deferIfPermit, deferIfReject, type MaybePromise, refuse, type Verdict } from './verdict.ts';

/** Refuses what the list is about. */
function refuseSubject(
  environment: RestrictionEnvironment,
  kind: ListKind,
  subject: Subject,
  code: number,
  status: string,
  text: string,
): Verdict {
  const { name, replyClass } = replySubjects[kind];
  return refuse(environment, subject, code, status, `<${name(subject)}>: ${replyClass} rejected: ${text}`);
}

/** Permits clients of a list; a list that cannot be asked defers them. */
function clientListed(
  environment: RestrictionEnvironment,
  kind: ListKind,
  list: RestrictionEnvironment['mynetworks'],
  subject: Subject,
): MaybePromise<Verdict> {
  const verdict = (listed: boolean): Verdict => (listed ? 'permit' : 'dunno');
  const failed = (error: unknown): Verdict => {
    if (!(error instanceof TableError)) throw error;
    const name = replySubjects[kind].name(subject);
    return refuse(environment, subject, 451, '4.3.0', `<${name}>: Temporary lookup failure`);
  };
  try {
    const listed = list.matches(subject.peer.name, subject.peer.address);
    return listed instanceof Promise ? listed.then(verdict, failed) : verdict(listed);
  } catch (error) {
    return failed(error);
  }
}

export const genericRestrictions: RestrictionTable = {
  permit: { make: () => () => 'permit' },
  reject: {
    make: (environment, kind) => {
      const code = environment.configuration.integer('reject_code');
      return (subject) => refuseSubject(environment, kind, subject, code, '5.7.1', 'Access denied');
    },
  },
  defer: {
    make: (environment, kind) => {
      const code = environment.configuration.integer('defer_code');
      return (subject) => refuseSubject(environment, kind, subject, code, '4.3.2', 'Try again later');
    },
  },
  defer_if_permit: {
    make: (environment, kind) => (subject) => {
      const { name, replyClass } = replySubjects[kind];
      deferIfPermit(
        environment,
        subject,
        450,
        '4.7.0',
        `<${name(subject)}>: ${replyClass} rejected: defer_if_permit requested`,
      );
      return 'dunno';
    },
  },
  defer_if_reject: {
    make: (environment, kind) => (subject) => {
      const { name, replyClass } = replySubjects[kind];
      deferIfReject(
        environment,
        subject,
        450,
        '4.7.0',
        `<${name(subject)}>: ${replyClass} rejected: defer_if_reject requested`,
      );
      return 'dunno';
    },
  },
  permit_mynetworks: {
    make: (environment, kind) => (subject) => clientListed(environment, kind, environment.mynetworks, subject),
  },
  permit_inet_interfaces: {
    make: async ({ configuration }) => {
      const own = new Set(await ownAddresses(configuration, undefined, ['inet_interfaces']));
      return (subject) => (own.has(subject.peer.address) ? 'permit' : 'dunno');
    },
  },
  permit_sasl_authenticated: { make: () => (subject) => (subject.saslUsername === '' ? 'dunno' : 'permit') },
  reject_plaintext_session: {
    make: (environment) => {
      const code = environment.configuration.integer('plaintext_reject_code');
      return (subject) => refuse(environment, subject, code, '4.7.1', 'Session encryption is required');
    },
  },
  reject_multi_recipient_bounce: {
    make: (environment, kind) => {
      const code = environment.configuration.integer('multi_recipient_bounce_reject_code');
      // At RCPT the recipient at hand is not counted yet; a list at DATA sees the final number.
      const allowed = kind === 'data' || kind === 'end-of-data' ? 1 : 0;
      return (subject) =>
        subject.sender === '' && subject.recipientCount > allowed
          ? refuse(environment, subject, code, '5.5.3', '<>: Data command rejected: Multi-recipient bounce')
          : 'dunno';
    },
  },
  reject_unauth_pipelining: {
    make: (environment, kind) => (subject) => {
      if (!subject.illegalPipelining) return 'dunno';
      return refuseSubject(environment, kind, subject, 503, '5.5.0', 'Improper use of SMTP command pipelining');
    },
  },
  sleep: {
    argument: true,
    make: (_environment, _kind, argument) => {
      const seconds = Number(argument);
      return async (): Promise<Verdict> => {
        if (seconds > 0 && seconds < 3600) await sleep(seconds * 1000, undefined, { ref: false });
        return 'dunno';
      };
    },
  },
};
