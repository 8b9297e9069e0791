/**
 * From a destination to the servers to try, in order: mail exchangers by preference (RFC 5321 section 5.1), equal ones
 * shuffled (smtp_randomize_addresses), their addresses of the protocols in inet_protocols by smtp_address_preference, bounded by
 * smtp_mx_address_limit. A domain without mail exchangers is its own; one that accepts no mail says so (RFC 7505).
 *
 * Where this host is among the mail exchangers, only better ones remain; where none remains, mail loops.
 */
import { lookup as nativeLookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import type { Answer, Lookup } from '../../lib/dns/answer.ts';
import { isAscii } from './commands.ts';
import type { Destination } from './destination.ts';
import type { Settings } from './settings.ts';
import { messageTrouble, type Peer, Trouble } from './trouble.ts';

export interface AddressContext {
  readonly settings: Settings;
  readonly dns: Lookup;
  /** Is that address one of this host, by inet_interfaces and proxy_interfaces? */
  readonly isOwnAddress: (address: string) => boolean;
  /** 0 ≤ x < 1 */
  readonly random: () => number;
}

interface Candidate extends Peer {
  readonly preference: number;
}

type InetDestination = Extract<Destination, { kind: 'inet' }>;

/** Loops are looked for where the server is on the port on which this host, too, would take mail. */
export const SMTP_PORT = 25;

const STATUS_TEXT: Readonly<Record<Exclude<Answer<'A'>['status'], 'found'>, string>> = {
  'no-data': 'Host found but no data record of requested type',
  'not-found': 'Host not found',
  retry: 'Host not found, try again',
  invalid: 'Malformed or unexpected name server reply',
};

function nameServiceTrouble(name: string, type: string, status: Exclude<Answer<'A'>['status'], 'found'>): Trouble {
  return messageTrouble(
    status === 'retry' ? '4.4.3' : '5.4.4',
    `Host or domain name not found. Name service error for name=${name} type=${type}: ${STATUS_TEXT[status]}`,
  );
}

/** The servers of a destination, best first; never empty. */
export function findAddresses(
  destination: InetDestination,
  context: AddressContext,
): readonly Peer[] | Trouble | Promise<readonly Peer[] | Trouble> {
  if (isIP(destination.name) !== 0) {
    const peer = { name: destination.name, address: destination.name, port: destination.port, preference: 0 };
    return isLoop(destination, [peer], context) ? loops(destination.name) : [peer];
  }
  return lookUp(destination, context);
}

async function lookUp(destination: InetDestination, context: AddressContext): Promise<readonly Peer[] | Trouble> {
  const name = isAscii(destination.name) ? destination.name : domainToASCII(destination.name);
  if (name === '') return nameServiceTrouble(destination.name, destination.mx ? 'MX' : 'A', 'invalid');
  const found = destination.mx
    ? await exchangerAddresses({ ...destination, name }, context)
    : await hostAddresses({ ...destination, name }, context);
  if (found instanceof Trouble) return found;
  return limitAddresses(found, context.settings);
}

async function exchangerAddresses(
  destination: InetDestination,
  context: AddressContext,
): Promise<Candidate[] | Trouble> {
  const { settings } = context;
  const answer = await context.dns.query(destination.name, 'MX');
  if (answer.status === 'retry' || answer.status === 'invalid') {
    if (settings.ignoreMxLookupError) return hostAddresses(destination, context);
    return nameServiceTrouble(destination.name, 'MX', answer.status);
  }
  if (answer.status !== 'found') return hostAddresses(destination, context);
  const [first] = answer.records;
  if (answer.records.length === 1 && first?.exchange === '') {
    return messageTrouble('5.1.0', `Domain ${destination.name} does not accept mail (nullMX)`);
  }
  const lookups = answer.records
    .filter(({ exchange }) => exchange !== '')
    .map(({ exchange, preference }) => resolveHost(exchange, preference, destination.port, context));
  const candidates: Candidate[] = [];
  let trouble: Trouble | undefined;
  for (const result of await Promise.all(lookups)) {
    if (!(result instanceof Trouble)) candidates.push(...result);
    else if (trouble === undefined || result.isTemporary) trouble = result;
  }
  if (candidates.length === 0) {
    trouble ??= nameServiceTrouble(destination.name, 'MX', 'no-data');
    if (!settings.deferIfNoMxAddress || trouble.isTemporary) return trouble;
    return messageTrouble('4.4.4', trouble.dsn.reason);
  }
  const ordered = orderCandidates(candidates, context);
  if (destination.port !== SMTP_PORT) return ordered;
  const own = ordered.find(({ address }) => context.isOwnAddress(address));
  if (own === undefined) return ordered;
  const better = ordered.filter(({ preference }) => preference < own.preference);
  return better.length > 0 ? better : loops(destination.name);
}

async function hostAddresses(destination: InetDestination, context: AddressContext): Promise<Candidate[] | Trouble> {
  const found = await resolveHost(destination.name, 0, destination.port, context);
  if (found instanceof Trouble) return found;
  return isLoop(destination, found, context) ? loops(destination.name) : orderCandidates(found, context);
}

function isLoop(destination: InetDestination, found: readonly Candidate[], context: AddressContext): boolean {
  return destination.port === SMTP_PORT && found.some(({ address }) => context.isOwnAddress(address));
}

function loops(name: string): Trouble {
  return messageTrouble('5.4.6', `mail for ${name} loops back to myself`);
}

/** The addresses of one host. */
async function resolveHost(
  name: string,
  preference: number,
  port: number,
  context: AddressContext,
): Promise<Candidate[] | Trouble> {
  const { settings } = context;
  const candidate = (address: string): Candidate => ({ name, address, port, preference });
  // Some write an address where the name of a mail exchanger belongs; it does no harm to use it.
  if (isIP(name) !== 0) return [candidate(name)];
  let trouble: Trouble | undefined;
  if (settings.dnsLookup) {
    const found = await dnsAddresses(name, context);
    if (!(found instanceof Trouble)) return found.map(candidate);
    trouble = found;
  }
  if (!settings.nativeLookup) return trouble ?? nameServiceTrouble(name, 'A', 'not-found');
  try {
    const family = settings.ipv4 && settings.ipv6 ? 0 : settings.ipv4 ? 4 : 6;
    const addresses = await nativeLookup(name, { all: true, family, verbatim: true });
    return addresses.map(({ address }) => candidate(address));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const soft = code === 'EAI_AGAIN' || code === 'ETIMEOUT';
    return messageTrouble(
      soft ? '4.4.3' : '5.4.4',
      `unable to look up host ${name}: ${soft ? 'Temporary failure in name resolution' : 'Name or service not known'}`,
    );
  }
}

async function dnsAddresses(name: string, { settings, dns }: AddressContext): Promise<string[] | Trouble> {
  const types: ('A' | 'AAAA')[] = [
    ...(settings.ipv4 ? ['A' as const] : []),
    ...(settings.ipv6 ? ['AAAA' as const] : []),
  ];
  const answers = await Promise.all(types.map((type) => dns.query(name, type)));
  const addresses = answers.flatMap((answer) => [...answer.records]);
  if (addresses.length > 0) return addresses;
  const retry = answers.findIndex(({ status }) => status === 'retry');
  const worst = retry < 0 ? answers.length - 1 : retry;
  const { status } = answers[worst]!;
  return nameServiceTrouble(name, types[worst]!, status === 'found' ? 'no-data' : status);
}

function shuffle<T>(items: T[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
}

/** By preference; within one, in random order, the preferred protocol first. */
export function orderCandidates(
  candidates: readonly Candidate[],
  { settings, random }: Pick<AddressContext, 'settings' | 'random'>,
): Candidate[] {
  const ordered = [...candidates];
  if (settings.randomizeAddresses) shuffle(ordered, random);
  const preferIpv6 = settings.addressPreference === 'ipv6';
  const rank = ({ address }: Candidate) =>
    settings.addressPreference === 'any' || isIPv6(address) === preferIpv6 ? 0 : 1;
  return ordered.sort((a, b) => a.preference - b.preference || rank(a) - rank(b));
}

/** At most smtp_mx_address_limit of them, of both protocols where there are both (smtp_balance_inet_protocols). */
export function limitAddresses<T extends Peer>(
  peers: readonly T[],
  settings: Pick<Settings, 'mxAddressLimit' | 'balanceProtocols'>,
): readonly T[] {
  const limit = settings.mxAddressLimit;
  if (limit === 0 || peers.length <= limit) return peers;
  const kept = peers.slice(0, limit);
  if (!settings.balanceProtocols || limit < 2) return kept;
  const protocol = isIPv6(kept[0]!.address);
  if (kept.some(({ address }) => isIPv6(address) !== protocol)) return kept;
  const other = peers.slice(limit).find(({ address }) => isIPv6(address) !== protocol);
  return other === undefined ? kept : [...kept.slice(0, -1), other];
}
