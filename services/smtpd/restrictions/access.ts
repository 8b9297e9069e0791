/**
 * Restrictions that look something up in an access(5) table: check_client_access, check_reverse_client_hostname_access,
 * check_helo_access, check_sender_access, check_recipient_access, check_etrn_access, check_sasl_access,
 * check_ccert_access, and a bare `type:table` in any list. See access(5) for the keys and their order.
 */
import type { LookupResult, Table } from '../../../lib/tables/table.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { applyAccessAction } from './access-action.ts';
import { addressKeys, type Key, mailKeys, nameKeys } from './access-keys.ts';
import type { Check, ListKind, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { type ReplySubject, replySubjects } from './reply-subject.ts';
import type { Subject } from './subject.ts';
import { type MaybePromise, refuse, serverError, type Verdict } from './verdict.ts';

/** What a lookup is about, and how a refusal names it. */
export interface AccessLookup {
  readonly environment: RestrictionEnvironment;
  readonly kind: ListKind;
  readonly table: Table;
  readonly about: ReplySubject;
}

/** Asks a table for one key after the other; the action of the first that is there decides. */
export function lookUp(lookup: AccessLookup, subject: Subject, keys: readonly Key[], from = 0): MaybePromise<Verdict> {
  const { table } = lookup;
  for (let at = from; at < keys.length; at++) {
    const { key, partial } = keys[at]!;
    if (partial && !table.partialKeys) continue;
    let found: MaybePromise<LookupResult>;
    try {
      found = table.lookup(key);
    } catch (error) {
      return lookupFailed(lookup, subject, key, error);
    }
    if (found instanceof Promise) {
      return found.then(
        (value) =>
          value === undefined ? lookUp(lookup, subject, keys, at + 1) : applyAccessAction(lookup, subject, key, value),
        (error: unknown) => lookupFailed(lookup, subject, key, error),
      );
    }
    if (found !== undefined) return applyAccessAction(lookup, subject, key, found);
  }
  return 'dunno';
}

/** Mail is neither taken nor refused for good because of a table that cannot be asked. */
function lookupFailed(lookup: AccessLookup, subject: Subject, key: string, error: unknown): Verdict {
  if (!(error instanceof TableError)) throw error;
  const { environment, table, about } = lookup;
  environment.log.warning(`${table.type}:${table.name} lookup error for "${key}"`);
  const text = `<${about.name(subject)}>: ${about.replyClass} rejected: Server configuration error`;
  return refuse(environment, subject, 451, '4.3.5', text);
}

/** A restriction that looks up what `keysOf` gives; no keys, no opinion. */
function access(
  about: ReplySubject,
  keysOf: (environment: RestrictionEnvironment) => (subject: Subject) => readonly Key[],
): Restriction {
  return {
    argument: true,
    make: async (environment, kind, argument): Promise<Check> => {
      const table = await environment.openTable(argument);
      const keys = keysOf(environment);
      const lookup: AccessLookup = { environment, kind, table, about };
      return (subject) => lookUp(lookup, subject, keys(subject));
    },
  };
}

const NOTHING: readonly Key[] = [];

const client = access(replySubjects.client, (environment) => {
  const names = nameKeys(environment);
  return ({ peer }) => [...names(peer.name), ...addressKeys(peer.address)];
});
const reverseClient = access(
  { ...replySubjects.client, replyClass: 'Unverified Client host' },
  nameOf(({ peer }) => peer.reverseName),
);
const helo = access(
  replySubjects.helo,
  nameOf(({ heloName }) => heloName),
);
const sender = access(replySubjects.sender, (environment) => {
  const keys = mailKeys(environment);
  const nullSender = [{ key: environment.configuration.text('smtpd_null_access_lookup_key'), partial: false }];
  return ({ sender: address }) => (address === undefined ? NOTHING : address === '' ? nullSender : keys(address));
});
const recipient = access(replySubjects.recipient, (environment) => {
  const keys = mailKeys(environment);
  return ({ recipient: address }) => (address === undefined || address === '' ? NOTHING : keys(address));
});
const etrn = access(
  replySubjects.etrn,
  nameOf((subject) => (subject.stage === 'ETRN' ? (subject.recipient ?? '') : '')),
);
const sasl = access(
  { replyClass: 'Client host', name: (subject) => subject.saslUsername },
  () => (subject) => (subject.saslUsername === '' ? NOTHING : [{ key: subject.saslUsername, partial: false }]),
);
const clientCertificate = access(
  replySubjects.client,
  () => (subject) =>
    [subject.certificateFingerprint, subject.publicKeyFingerprint]
      .filter((fingerprint) => fingerprint !== '')
      .map((key) => ({ key, partial: false })),
);

function nameOf(pick: (subject: Subject) => string) {
  return (environment: RestrictionEnvironment) => {
    const names = nameKeys(environment);
    return (subject: Subject): readonly Key[] => {
      const name = pick(subject);
      return name === '' ? NOTHING : names(name);
    };
  };
}

export const accessRestrictions: RestrictionTable = {
  check_client_access: client,
  check_reverse_client_hostname_access: reverseClient,
  check_helo_access: helo,
  check_sender_access: sender,
  check_recipient_access: recipient,
  check_etrn_access: etrn,
  check_sasl_access: sasl,
  check_ccert_access: clientCertificate,
};

const BARE: Readonly<Record<ListKind, Restriction | undefined>> = {
  client,
  helo,
  sender,
  recipient,
  relay: recipient,
  etrn,
  data: undefined,
  'end-of-data': undefined,
};

/** What a bare `type:table` means in a list. */
export function tableRestriction(kind: ListKind): Restriction {
  return (
    BARE[kind] ?? {
      argument: true,
      make: (environment, _kind, argument) => (subject) => {
        environment.log.warning(
          `specify one of (check_client_access, check_helo_access, check_sender_access, check_recipient_access, check_etrn_access) before ${kind} restriction "${argument}"`,
        );
        return serverError(environment, subject);
      },
    }
  );
}
