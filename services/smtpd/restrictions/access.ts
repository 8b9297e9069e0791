/**
 * Restrictions that look something up in an access(5) table: check_client_access, check_reverse_client_hostname_access,
 * check_helo_access, check_sender_access, check_recipient_access, check_etrn_access, check_sasl_access,
 * check_ccert_access, and a bare `type:table` in any list. See access(5) for the keys and their order.
 */
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import type { LookupResult, Table } from '../../../lib/tables/table.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { applyAccessAction } from './access-action.ts';
import { addressKeys, type Key, mailKeys, nameKeys } from './access-keys.ts';
import type { Check, ListKind, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { type ReplySubject, replySubjects } from './reply-subject.ts';
import { resolved } from './resolved.ts';
import type { Subject } from './subject.ts';
import { type MaybePromise, refuse, serverError, type Verdict } from './verdict.ts';

/** What a lookup is about, and how a refusal names it. */
export interface AccessLookup {
  readonly environment: RestrictionEnvironment;
  readonly kind: ListKind;
  readonly table: Table;
  readonly about: ReplySubject;
}

/** Asks a table for one key after the other; the action of the first that is there decides, or else `nothing`. */
export function lookUp<Nothing>(
  lookup: AccessLookup,
  subject: Subject,
  keys: readonly Key[],
  nothing: Nothing,
  from = 0,
): MaybePromise<Verdict | Nothing> {
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
          value === undefined
            ? lookUp(lookup, subject, keys, nothing, at + 1)
            : answer(lookup, subject, keys, at, value),
        (error: unknown) => lookupFailed(lookup, subject, key, error),
      );
    }
    if (found !== undefined) return answer(lookup, subject, keys, at, found);
  }
  return nothing;
}

/** What the table says under the key at a place. */
function answer(
  lookup: AccessLookup,
  subject: Subject,
  keys: readonly Key[],
  at: number,
  value: string,
): MaybePromise<Verdict> {
  const verdict = applyAccessAction(lookup, subject, whole(keys, at), value);
  if (!keys[at]!.routed) return verdict;
  const withoutPermission = (outcome: Verdict): Verdict => (outcome === 'permit' ? 'dunno' : outcome);
  return verdict instanceof Promise ? verdict.then(withoutPermission) : withoutPermission(verdict);
}

/** What the key at a place is a part of. */
function whole(keys: readonly Key[], at: number): string {
  let first = at;
  while (first > 0 && keys[first]!.partial) first -= 1;
  return keys[at]!.whole ?? keys[first]!.key;
}

/** Mail is neither taken nor refused for good because of a table that cannot be asked. */
function lookupFailed(lookup: AccessLookup, subject: Subject, key: string, error: unknown): Verdict {
  if (!(error instanceof TableError)) throw error;
  const { environment, table, about } = lookup;
  environment.log.warning(`${table.type}:${table.name} lookup error for "${key}"`);
  const text = `<${about.name(subject)}>: ${about.replyClass} rejected: Server configuration error`;
  return refuse(environment, subject, 451, '4.3.5', text);
}

function isKeys(found: readonly Key[] | Verdict): found is readonly Key[] {
  return typeof found === 'object' && 'length' in found;
}

/** A restriction that looks up what `keysOf` gives; no keys, no opinion. */
function access(
  about: ReplySubject,
  keysOf: (environment: RestrictionEnvironment) => (subject: Subject) => MaybePromise<readonly Key[] | Verdict>,
): Restriction {
  return {
    argument: true,
    make: async (environment, kind, argument): Promise<Check> => {
      const table = await environment.openTable(argument);
      const keys = keysOf(environment);
      const lookup: AccessLookup = { environment, kind, table, about };
      const ask = (subject: Subject, found: readonly Key[] | Verdict): MaybePromise<Verdict> =>
        isKeys(found) ? lookUp(lookup, subject, found, 'dunno') : found;
      return (subject) => {
        const found = keys(subject);
        return found instanceof Promise ? found.then((list) => ask(subject, list)) : ask(subject, found);
      };
    },
  };
}

const NOTHING: readonly Key[] = [];

const client = access(replySubjects.client, (environment) => {
  const names = nameKeys(environment);
  return ({ peer }) => [...names(peer.name), ...addressKeys(peer.address)];
});
const reverseClient = access(replySubjects.reverseClient, (environment) => {
  const names = nameKeys(environment);
  return ({ peer }) => [...names(peer.reverseName), ...addressKeys(peer.address)];
});
const helo = access(
  replySubjects.helo,
  nameOf(({ heloName }) => heloName),
);
const sender = access(replySubjects.sender, (environment) => {
  const keys = resolvedKeys(environment);
  const nullSender = [{ key: environment.configuration.text('smtpd_null_access_lookup_key'), partial: false }];
  return (subject) => {
    if (subject.sender === undefined) return NOTHING;
    return subject.sender === '' ? nullSender : keys(subject, subject.sender);
  };
});
const recipient = access(replySubjects.recipient, (environment) => {
  // A recipient with a route of the sender's must not come in because of its last domain (postconf(5), allow_untrusted_routing).
  const keys = resolvedKeys(environment, environment.configuration.boolean('allow_untrusted_routing'));
  return (subject) => (subject.recipient ? keys(subject, subject.recipient) : NOTHING);
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

/** The keys of an address as trivial-rewrite(8) resolves it: `user%domain` and `domain!user` are looked up as user@domain. */
function resolvedKeys(environment: RestrictionEnvironment, allowRouting = true) {
  const keys = mailKeys(environment);
  return (subject: Subject, address: string): MaybePromise<readonly Key[] | Verdict> => {
    return resolved(environment, subject, { address, sender: subject.sender ?? '' }, ({ flags, recipient }) => {
      if (recipient.includes('@')) {
        const routed = !allowRouting && (flags & ResolveFlag.ROUTED) !== 0;
        return routed ? keys(recipient).map((key) => ({ ...key, routed })) : keys(recipient);
      }
      environment.log.warning(`check_mail_access: no @domain in address: ${recipient}`);
      return NOTHING;
    });
  };
}

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
