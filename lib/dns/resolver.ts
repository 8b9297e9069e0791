/**
 * The resolver client: asks recursive name servers in turn, follows aliases, and remembers answers for as long as they say,
 * so that a busy destination costs one question an hour and not one a message. An answer that is remembered comes at once,
 * without a turn of the event loop. Questions asked while the same one is under way share its answer.
 *
 * Node's own resolver is not used: it hides the AD bit, which DANE needs, and follows `ndots`, which is wrong for mail.
 *
 * Limits: no /etc/hosts (smtp_host_lookup = native asks the host); no DNSSEC validation: `authentic` repeats what the name
 * server says, so it is worth as much as the way to that server. At most 20,000 answers are remembered, none longer than an
 * hour, negative ones for five minutes at most; failures are not remembered.
 */
import type { DecodedPacket, Answer as PacketAnswer } from 'dns-packet';
import type { Answer, Lookup, RecordData, RecordType } from './answer.ts';
import { exchange, type NameServer } from './exchange.ts';
import { nameServers } from './servers.ts';

export interface ResolverOptions {
  /** postfleet_dns_servers; empty for those of the system. */
  readonly servers?: readonly string[];
  /** Milliseconds to wait for one server. */
  readonly timeout?: number;
  /** How often each server is asked. */
  readonly attempts?: number;
  readonly cacheLimit?: number;
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number;
}

const MOST_ALIASES = 10;
const LONGEST_TTL = 3600;
const LONGEST_NEGATIVE_TTL = 300;
/** For a negative answer that does not say (RFC 2308 section 5). */
const DEFAULT_NEGATIVE_TTL = 60;

interface Remembered {
  readonly answer: Answer<RecordType>;
  readonly until: number;
}

export class Resolver implements Lookup {
  readonly #servers: readonly NameServer[];
  readonly #timeout: number;
  readonly #attempts: number;
  readonly #cacheLimit: number;
  readonly #now: () => number;
  /** Least recently used first. */
  readonly #cache = new Map<string, Remembered>();
  readonly #underWay = new Map<string, Promise<Answer<RecordType>>>();

  constructor(options: ResolverOptions = {}) {
    this.#servers = nameServers(options.servers ?? []);
    this.#timeout = options.timeout ?? 5000;
    this.#attempts = options.attempts ?? 2;
    this.#cacheLimit = options.cacheLimit ?? 20_000;
    this.#now = options.now ?? (() => performance.now());
  }

  query<T extends RecordType>(name: string, type: T): Answer<T> | Promise<Answer<T>> {
    const plain = normalName(name);
    if (!isQueryable(plain)) return failed(plain, 'invalid', 'not a domain name');
    const key = `${type} ${plain}`;
    const known = this.#recall(key);
    if (known !== undefined) return known as Answer<T>;
    const running = this.#underWay.get(key);
    if (running !== undefined) return running as Promise<Answer<T>>;
    const asked = this.#ask(plain, type).then((answer) => {
      this.#underWay.delete(key);
      if (answer.status !== 'retry' && answer.ttl > 0) this.#remember(key, answer);
      return answer;
    });
    this.#underWay.set(key, asked);
    return asked;
  }

  #recall(key: string): Answer<RecordType> | undefined {
    const known = this.#cache.get(key);
    if (known === undefined) return undefined;
    this.#cache.delete(key);
    if (known.until <= this.#now()) return undefined;
    this.#cache.set(key, known);
    return known.answer;
  }

  #remember(key: string, answer: Answer<RecordType>): void {
    this.#cache.set(key, { answer, until: this.#now() + answer.ttl * 1000 });
    if (this.#cache.size > this.#cacheLimit) this.#cache.delete(this.#cache.keys().next().value!);
  }

  /** The answer at the end of the chain of aliases. */
  async #ask<T extends RecordType>(first: string, type: T): Promise<Answer<T>> {
    let name = first;
    let authentic = true;
    let ttl = LONGEST_TTL;
    for (let aliases = 0; aliases <= MOST_ALIASES; aliases++) {
      const answer = await this.#askServers(name, type);
      authentic &&= answer.authentic;
      ttl = Math.min(ttl, answer.ttl);
      const aliasWithoutEnd = answer.status === 'no-data' && answer.canonicalName !== name && type !== 'CNAME';
      if (!aliasWithoutEnd) return { ...answer, authentic, ttl };
      name = answer.canonicalName;
    }
    return failed(name, 'retry', 'too many aliases');
  }

  async #askServers<T extends RecordType>(name: string, type: T): Promise<Answer<T>> {
    let problem = '';
    for (let attempt = 0; attempt < this.#attempts; attempt++) {
      for (const server of this.#servers) {
        const result = await exchange(server, { name, type }, this.#timeout);
        if ('problem' in result) problem = `${server.address}: ${result.problem}`;
        else if (result.rcode === 'NOERROR' || result.rcode === 'NXDOMAIN') {
          return readAnswer(result.packet, result.rcode, name, type);
        } else problem = `${server.address}: ${result.rcode}`;
      }
    }
    return failed(name, 'retry', problem);
  }
}

function normalName(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}

/** Labels of 1 to 63 octets, 253 in all (RFC 1035 section 2.3.4). */
function isQueryable(name: string): boolean {
  if (name === '' || Buffer.byteLength(name) > 253) return false;
  return name.split('.').every((label) => label !== '' && Buffer.byteLength(label) <= 63);
}

function failed<T extends RecordType>(name: string, status: 'retry' | 'invalid', problem: string): Answer<T> {
  return { status, records: [], authentic: false, canonicalName: name, ttl: 0, problem };
}

function readAnswer<T extends RecordType>(packet: DecodedPacket, rcode: string, name: string, type: T): Answer<T> {
  const answers = packet.answers ?? [];
  const authentic = packet.flag_ad;
  let canonicalName = name;
  let ttl = LONGEST_TTL;
  for (let aliases = 0; type !== 'CNAME'; aliases++) {
    const alias = answers.find((record) => record.type === 'CNAME' && normalName(record.name) === canonicalName);
    if (alias === undefined || alias.type !== 'CNAME') break;
    if (aliases === MOST_ALIASES) return failed(name, 'retry', 'too many aliases');
    ttl = Math.min(ttl, alias.ttl ?? 0);
    canonicalName = normalName(alias.data);
  }
  const records: RecordData[T][] = [];
  for (const record of answers) {
    if (record.type !== type || normalName(record.name) !== canonicalName) continue;
    const data = readRecord(record);
    if (data === undefined) continue;
    ttl = Math.min(ttl, 'ttl' in record ? (record.ttl ?? 0) : 0);
    records.push(data as RecordData[T]);
  }
  if (records.length > 0) return { status: 'found', records, authentic, canonicalName, ttl };
  const status = rcode === 'NXDOMAIN' ? 'not-found' : 'no-data';
  return { status, records, authentic, canonicalName, ttl: Math.min(ttl, negativeTtl(packet)) };
}

/** How long "there is none" holds: by the SOA record in the authority section (RFC 2308). */
function negativeTtl(packet: DecodedPacket): number {
  for (const record of packet.authorities ?? []) {
    if (record.type === 'SOA') {
      return Math.min(record.ttl ?? 0, record.data.minimum ?? DEFAULT_NEGATIVE_TTL, LONGEST_NEGATIVE_TTL);
    }
  }
  return DEFAULT_NEGATIVE_TTL;
}

function readRecord(record: PacketAnswer): RecordData[RecordType] | undefined {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return record.data;
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return normalName(record.data);
    case 'MX':
      return { preference: record.data.preference ?? 0, exchange: normalName(record.data.exchange) };
    case 'SRV':
      return {
        priority: record.data.priority ?? 0,
        weight: record.data.weight ?? 0,
        port: record.data.port,
        target: normalName(record.data.target),
      };
    case 'SOA':
      return normalName(record.data.mname);
    case 'TLSA':
      return record.data;
    case 'TXT': {
      const strings = Array.isArray(record.data) ? record.data : [record.data];
      return strings.map((text) => (typeof text === 'string' ? text : text.toString('utf8'))).join('');
    }
    default:
      return undefined;
  }
}
