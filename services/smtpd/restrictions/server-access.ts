/**
 * Restrictions that look up the servers of a domain in an access(5) table: check_…_a_access (its addresses),
 * check_…_mx_access (its mail servers) and check_…_ns_access (its name servers, or those of the nearest domain above that
 * has any), for the client, its unverified name, HELO, sender and recipient.
 *
 * A table that permits because of a server is a mistake: whoever runs the server could make it say so (postconf(5)).
 */
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
}

const NONE: Servers = { hosts: [], problem: '' };

/** Host names to ask the table for, and whose addresses to ask it for. */
async function serversOf(environment: RestrictionEnvironment, domain: string, type: ServerType): Promise<Servers> {
  if (type === 'A') return { hosts: [domain], problem: '' };
  if (type === 'MX') {
    const answer = await environment.dns.query(domain, 'MX');
    if (answer.status === 'found') {
      return { hosts: answer.records.map(({ exchange }) => exchange).filter((host) => host !== ''), problem: '' };
    }
    // Without MX records mail goes to the host of that name.
    if (answer.status === 'no-data' || answer.status === 'not-found') return { hosts: [domain], problem: '' };
    return { hosts: [], problem: answer.problem ?? 'Host not found, try again' };
  }
  for (let name = domain; ; name = name.slice(name.indexOf('.') + 1)) {
    const answer = await environment.dns.query(name, 'NS');
    if (answer.status === 'found') return { hosts: answer.records, problem: '' };
    if (answer.status === 'retry') return { hosts: [], problem: answer.problem ?? 'Host not found, try again' };
    if (!name.slice(name.indexOf('.') + 1).includes('.')) return { hosts: [], problem: 'Host not found' };
  }
}

/** The addresses of a host, or why there are none. */
async function addressesOf(environment: RestrictionEnvironment, host: string): Promise<Servers> {
  const addresses: string[] = [];
  let retry = false;
  for (const type of ['A', 'AAAA'] as const) {
    const answer = await environment.dns.query(host, type);
    addresses.push(...answer.records);
    retry ||= answer.status === 'retry';
  }
  if (addresses.length > 0) return { hosts: addresses, problem: '' };
  return {
    hosts: [],
    problem: retry ? 'Temporary failure in name resolution' : 'Name or service not known',
  };
}

/** The domain of a name or an address; undefined where there is nothing to ask the DNS for. */
function domainOf(text: string): string | undefined {
  const domain = text.slice(text.lastIndexOf('@') + 1).replace(/\.$/, '');
  if (domain === '' || domain.startsWith('[') || /^[\d.]+$/.test(domain) || domain.includes(':')) return undefined;
  return domain;
}

async function judge(lookup: AccessLookup, subject: Subject, name: string, type: ServerType): Promise<Verdict> {
  const { environment, about } = lookup;
  const domain = domainOf(name);
  if (domain === undefined) return 'dunno';
  const servers = domain === '' ? NONE : await serversOf(environment, domain, type);
  if (servers.problem !== '') {
    environment.log.warning(`Unable to look up ${type} host for ${name}: ${servers.problem}`);
    return 'dunno';
  }
  const names = nameKeys(environment);
  for (const host of servers.hosts) {
    const byName = type === 'A' ? 'dunno' : await askTable(lookup, subject, names(host));
    if (byName !== 'dunno') return byName;
    const addresses = await addressesOf(environment, host);
    if (addresses.problem !== '' && type !== 'A') {
      const text = `Unable to look up ${type} host ${host} for ${about.replyClass} ${name}: ${addresses.problem}`;
      environment.log.warning(text);
    }
    for (const address of addresses.hosts) {
      const byAddress = await askTable(lookup, subject, addressKeys(address));
      if (byAddress !== 'dunno') return byAddress;
    }
  }
  return 'dunno';
}

async function askTable(lookup: AccessLookup, subject: Subject, keys: readonly Key[]): Promise<Verdict> {
  const verdict = await lookUp(lookup, subject, keys);
  if (verdict !== 'permit') return verdict;
  const { environment, table } = lookup;
  environment.log.warning(
    `access table ${table.type}:${table.name}: OK result for "${keys[0]?.key}" is not allowed for security reasons; use DUNNO instead of OK`,
  );
  return serverError(environment, subject);
}

function serverAccess(about: ReplySubject, pick: (subject: Subject) => string, type: ServerType): Restriction {
  return {
    argument: true,
    make: async (environment, kind, argument): Promise<Check> => {
      const table: Table = await environment.openTable(argument);
      const lookup: AccessLookup = { environment, kind, table, about };
      return (subject) => {
        const name = pick(subject);
        return name === '' || name === 'unknown' ? 'dunno' : judge(lookup, subject, name, type);
      };
    },
  };
}

const SUBJECTS: Readonly<Record<string, readonly [ReplySubject, (subject: Subject) => string]>> = {
  check_client: [replySubjects.client, ({ peer }) => peer.name],
  check_reverse_client_hostname: [
    { ...replySubjects.client, replyClass: 'Unverified Client host' },
    ({ peer }) => peer.reverseName,
  ],
  check_helo: [replySubjects.helo, ({ heloName }) => heloName],
  check_sender: [replySubjects.sender, ({ sender }) => sender ?? ''],
  check_recipient: [replySubjects.recipient, ({ recipient }) => recipient ?? ''],
};

export const serverAccessRestrictions: RestrictionTable = Object.fromEntries(
  Object.entries(SUBJECTS).flatMap(([prefix, [about, pick]]) =>
    (['A', 'MX', 'NS'] as const).map((type) => [
      `${prefix}_${type.toLowerCase()}_access`,
      serverAccess(about, pick, type),
    ]),
  ),
);
