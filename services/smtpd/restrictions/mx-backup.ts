/**
 * permit_mx_backup: mail for a domain that names this system as one of its mail servers, but not as the first, is taken in. So is
 * what permit_auth_destination takes. permit_mx_backup_networks says which first servers that holds for. See postconf(5).
 *
 * A question that has no answer for now defers what would be refused otherwise.
 */
import type { ResolveReply } from '../../../lib/clients/protocols.ts';
import { ownAddresses } from '../../../lib/config/own-addresses.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import { NamaddrList } from '../../../lib/tables/match-list.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { isAuthorized, resolvedRecipient } from './destination.ts';
import type { RestrictionEnvironment, RestrictionTable } from './environment.ts';
import type { Subject } from './subject.ts';
import { deferIfReject, temporaryFailure, type Verdict } from './verdict.ts';

const PARAMETER = 'permit_mx_backup_networks';

interface Backup {
  readonly environment: RestrictionEnvironment;
  readonly own: ReadonlySet<string>;
  /** Empty: any. */
  readonly networks: NamaddrList;
  readonly allowRouting: boolean;
}

interface MailServer {
  readonly name: string;
  readonly preference: number;
  readonly addresses: readonly string[];
}

/** Remembers that something cannot be told at present. */
function later(environment: RestrictionEnvironment, subject: Subject, text: string): Verdict {
  const about = `<${subject.recipient}>: Recipient address rejected`;
  deferIfReject(environment, subject, 450, '4.4.4', `${about}: ${text}`);
  return 'dunno';
}

async function addressesOf({ dns }: RestrictionEnvironment, host: string): Promise<readonly string[]> {
  return [...(await dns.query(host, 'A')).records, ...(await dns.query(host, 'AAAA')).records];
}

async function judge(backup: Backup, subject: Subject, domain: string): Promise<Verdict> {
  const { environment, own } = backup;
  const answer = await environment.dns.query(domain, 'MX');
  if (answer.status === 'retry')
    return later(environment, subject, 'Unable to look up mail exchanger information: Host not found, try again');
  const servers: MailServer[] = [];
  for (const { exchange, preference } of answer.records) {
    const addresses = exchange === '' ? [] : await addressesOf(environment, exchange);
    servers.push({ name: exchange, preference, addresses });
  }
  const isOurs = ({ addresses }: MailServer): boolean => addresses.some((address) => own.has(address));
  if (!servers.some(isOurs)) return 'dunno';
  const first = Math.min(...servers.map(({ preference }) => preference));
  const primary = servers.filter(({ preference }) => preference === first);
  return primary.some(isOurs) ? 'dunno' : judgePrimary(backup, subject, primary);
}

/** Each address of each first server must be in the networks, and one without addresses cannot be. */
async function judgePrimary(
  { environment, networks }: Backup,
  subject: Subject,
  primary: readonly MailServer[],
): Promise<Verdict> {
  if (networks.isEmpty) return 'permit';
  for (const { name, addresses } of primary) {
    const unknown = `Unable to look up host ${name} as mail exchanger: Host not found`;
    if (addresses.length === 0) return later(environment, subject, unknown);
    for (const address of addresses) {
      const listed = await isListed(networks, name, address);
      if (listed === undefined) return temporaryFailure(environment, subject, subject.recipient ?? '');
      if (!listed) return 'dunno';
    }
  }
  return 'permit';
}

/** Undefined where the list cannot be asked. */
async function isListed(networks: NamaddrList, name: string, address: string): Promise<boolean | undefined> {
  try {
    return await networks.matches(name, address);
  } catch (error) {
    if (error instanceof TableError) return undefined;
    throw error;
  }
}

function judgeResolved(backup: Backup, subject: Subject, reply: ResolveReply): Verdict | Promise<Verdict> {
  if (isAuthorized(reply, backup.allowRouting)) return 'permit';
  const { flags, recipient } = reply;
  // Where the sender chose a route, what the last domain is says nothing of where the mail goes.
  if ((flags & (ResolveFlag.ROUTED | ResolveFlag.ERROR)) !== 0) return 'dunno';
  const domain = recipient.slice(recipient.lastIndexOf('@') + 1);
  if (domain === '' || domain.startsWith('[') || !recipient.includes('@')) return 'dunno';
  return judge(backup, subject, domain);
}

export const mxBackupRestrictions: RestrictionTable = {
  permit_mx_backup: {
    make: async (environment) => {
      const { configuration, tables } = environment;
      const parentDomains = configuration.list('parent_domain_matches_subdomains').includes(PARAMETER);
      const backup: Backup = {
        environment,
        own: new Set(await ownAddresses(configuration)),
        networks: await NamaddrList.open(PARAMETER, configuration.text(PARAMETER), tables, { parentDomains }),
        allowRouting: configuration.boolean('allow_untrusted_routing'),
      };
      return (subject) =>
        subject.recipient === undefined
          ? 'dunno'
          : resolvedRecipient(environment, subject, (_subject, _recipient, reply) =>
              judgeResolved(backup, subject, reply),
            );
    },
  },
};
