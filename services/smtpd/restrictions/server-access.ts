/**
 * Restrictions that look up the servers of a domain in an access(5) table: check_…_a_access (its addresses),
 * check_…_mx_access (its mail servers) and check_…_ns_access (its name servers, or those of the nearest domain above that
 * has any), for the client, its unverified name, HELO, sender and recipient.
 *
 * A table that permits because of a server is a mistake: whoever runs the server could make it say so (postconf(5)).
 */
import { isIP } from 'node:net';
import type { RecordData, RecordType } from '../../../lib/dns/answer.ts';
import { isAddressLiteral, isHostName } from '../../../lib/mail/mail-domain.ts';
import type { Table } from '../../../lib/tables/table.ts';
import { type AccessLookup, lookUp } from './access.ts';
import { addressKeys, type Key, nameKeys } from './access-keys.ts';
import type { Check, Restriction, RestrictionEnvironment, RestrictionTable } from './environment.ts';
import { type ReplySubject, replySubjects } from './reply-subject.ts';
import type { Subject } from './subject.ts';
import { serverError, type Verdict } from './verdict.ts';

type ServerType = 'A' | 'MX' | 'NS';

interface Servers {
  readonly hosts: readonly string[];
  /** Why there are none; empty where that is no surprise. */
  readonly problem: string;
  /** The name that was asked for last. */
  readonly asked?: string;
}

const PROBLEMS: Readonly<Record<string, string>> = {
  'not-found': 'Host not found',
  'no-data': 'Host found but no data record of requested type',
  retry: 'Host not found, try again',
};

/** Asks the DNS; what cannot be a host name is not there. */
async function ask<T extends RecordType>(environment: RestrictionEnvironment, name: string, type: T) {
  if (isHostName(name)) return await environment.dns.query(name, type);
  const nothing: readonly RecordData[T][] = [];
  return { status: 'not-found' as const, records: nothing, problem: undefined };
}

function problemOf({ status, problem }: { status: string; problem?: string | undefined }): string {
  return PROBLEMS[status] ?? problem ?? status;
}

/** Host names to ask the table for, and whose addresses to ask it for. */
async function serversOf(environment: RestrictionEnvironment, domain: string, type: ServerType): Promise<Servers> {
  if (type === 'A') return { hosts: [domain], problem: '' };
  return type === 'MX' ? await mailServers(environment, domain) : await nameServers(environment, domain);
}

async function mailServers(environment: RestrictionEnvironment, domain: string): Promise<Servers> {
  const answer = await ask(environment, domain, 'MX');
  if (answer.status === 'found') {
    return { hosts: answer.records.map(({ exchange }) => exchange).filter((host) => host !== ''), problem: '' };
  }
  // Without MX records mail goes to the host of that name.
  if (answer.status === 'no-data' || answer.status === 'not-found') return { hosts: [domain], problem: '' };
  return { hosts: [], problem: problemOf(answer), asked: domain };
}

/** Those of the domain, or of the nearest one above it that has any. */
async function nameServers(environment: RestrictionEnvironment, domain: string): Promise<Servers> {
  for (let name = domain; ; ) {
    const answer = await ask(environment, name, 'NS');
    if (answer.status === 'found') return { hosts: answer.records, problem: '' };
    if (answer.status === 'retry') return { hosts: [], problem: problemOf(answer), asked: name };
    const dot = name.indexOf('.');
    if (dot < 0 || dot === name.length - 1) return { hosts: [], problem: problemOf(answer) };
    name = name.slice(dot + 1);
  }
}

/** The addresses of a host, or why there are none. */
async function addressesOf(environment: RestrictionEnvironment, host: string): Promise<Servers> {
  if (isIP(host) !== 0) return { hosts: [host], problem: '' };
  const addresses: string[] = [];
  const found = new Set<string>();
  for (const type of ['A', 'AAAA'] as const) {
    const answer = await ask(environment, host.replace(/\.$/, ''), type);
    addresses.push(...answer.records);
    found.add(answer.status);
  }
  if (addresses.length > 0) return { hosts: addresses, problem: '' };
  if (found.has('retry')) return { hosts: [], problem: 'Temporary failure in name resolution' };
  const named = found.has('no-data') ? 'No address associated with hostname' : 'Name or service not known';
  return { hosts: [], problem: named };
}

interface ServerLookup extends AccessLookup {
  /** The restriction, as main.cf spells it. */
  readonly restriction: string;
  readonly type: ServerType;
}

async function judge(lookup: ServerLookup, subject: Subject, name: string): Promise<Verdict> {
  const { environment, type, about } = lookup;
  const domain = name.slice(name.lastIndexOf('@') + 1);
  if (domain === '') return 'dunno';
  if (domain.startsWith('[')) return judgeLiteral(lookup, subject, domain);
  const servers = await serversOf(environment, domain, type);
  if (servers.problem !== '') {
    environment.log.warning(
      `Unable to look up ${type} host for ${servers.asked ?? about.name(subject)}: ${servers.problem}`,
    );
    return 'dunno';
  }
  const names = nameKeys(environment);
  for (const host of servers.hosts) {
    const answered =
      (type === 'A' ? undefined : await askTable(lookup, subject, names(host))) ??
      (await judgeAddresses(lookup, subject, host));
    if (answered !== undefined) return answered;
  }
  return 'dunno';
}

async function judgeAddresses(lookup: ServerLookup, subject: Subject, host: string): Promise<Verdict | undefined> {
  const { environment, about, type } = lookup;
  const addresses = await addressesOf(environment, host);
  if (addresses.problem !== '' && type !== 'A') {
    const text = `Unable to look up ${type} host ${host} for ${about.replyClass} ${about.name(subject)}: ${addresses.problem}`;
    environment.log.warning(text);
  }
  for (const address of addresses.hosts) {
    const answered = await askTable(lookup, subject, addressKeys(address));
    if (answered !== undefined) return answered;
  }
  return undefined;
}

/** `[192.0.2.1]` names its only server itself; it has no name servers. */
async function judgeLiteral(lookup: ServerLookup, subject: Subject, domain: string): Promise<Verdict> {
  if (lookup.type === 'NS' || !isAddressLiteral(domain)) return 'dunno';
  const address = domain.slice(1, -1).replace(/^ipv6:/i, '');
  return (await askTable(lookup, subject, addressKeys(address))) ?? 'dunno';
}

/** Undefined where the table has none of the keys; a DUNNO that is there ends the search as any other result does. */
async function askTable(lookup: ServerLookup, subject: Subject, keys: readonly Key[]): Promise<Verdict | undefined> {
  const verdict = await lookUp<Verdict | undefined>(lookup, subject, keys, undefined);
  if (verdict !== 'permit') return verdict;
  const { environment, restriction, about } = lookup;
  environment.log.warning(`restriction ${restriction} returns OK for ${about.name(subject)}`);
  environment.log.warning('this is not allowed for security reasons');
  environment.log.warning('use DUNNO instead of OK if you want to make an exception');
  return serverError(environment, subject);
}

function serverAccess(
  restriction: string,
  about: ReplySubject,
  pick: (subject: Subject) => string,
  type: ServerType,
): Restriction {
  return {
    argument: true,
    make: async (environment, kind, argument): Promise<Check> => {
      const table: Table = await environment.openTable(argument);
      const lookup: ServerLookup = { environment, kind, table, about, restriction, type };
      return (subject) => {
        const name = pick(subject);
        return name === '' || name === 'unknown' ? 'dunno' : judge(lookup, subject, name);
      };
    },
  };
}

const SUBJECTS: Readonly<Record<string, readonly [ReplySubject, (subject: Subject) => string]>> = {
  check_client: [replySubjects.client, ({ peer }) => peer.name],
  check_reverse_client_hostname: [replySubjects.reverseClient, ({ peer }) => peer.reverseName],
  check_helo: [replySubjects.helo, ({ heloName }) => heloName],
  check_sender: [replySubjects.sender, ({ sender }) => sender ?? ''],
  check_recipient: [replySubjects.recipient, ({ recipient }) => recipient ?? ''],
};

export const serverAccessRestrictions: RestrictionTable = Object.fromEntries(
  Object.entries(SUBJECTS).flatMap(([prefix, [about, pick]]) =>
    (['A', 'MX', 'NS'] as const).map((type) => {
      const name = `${prefix}_${type.toLowerCase()}_access`;
      return [name, serverAccess(name, about, pick, type)];
    }),
  ),
);
