/**
 * Who the client is: its address, and the host name that the address has and that leads back to it
 * (postconf(5), smtpd_peername_lookup). Answers are remembered for a while, so that a busy client is looked up once, and a
 * lookup is given up after some seconds: the client is then "unknown".
 */
import type { NameStatus, Peer } from './restrictions/subject.ts';

/** What a name service must do; rejects with a code as node:dns does. */
export interface HostLookup {
  /** Names of an address. */
  reverse(address: string): Promise<string[]>;
  /** Addresses of a name, both families. */
  addresses(name: string): Promise<string[]>;
}

interface HostName {
  readonly name: string;
  readonly reverseName: string;
  readonly nameStatus: NameStatus;
  readonly reverseNameStatus: NameStatus;
}

const UNKNOWN = 'unknown';
const LOOKUP_TIMEOUT = 5000;
const LIFETIME = 60_000;
const FAILURE_LIFETIME = 10_000;
const ENTRIES = 10_000;

export class PeerNames {
  readonly #lookup: HostLookup | undefined;
  readonly #warn: (text: string) => void;
  readonly #known = new Map<string, { readonly until: number; readonly host: HostName | Promise<HostName> }>();

  /** Without a lookup every client is "unknown", as smtpd_peername_lookup = no says. */
  constructor(lookup: HostLookup | undefined, warn: (text: string) => void) {
    this.#lookup = lookup;
    this.#warn = warn;
  }

  /** The peer behind a socket address, at once where it is known. */
  peer(rawAddress: string, port: number): Peer | Promise<Peer> {
    const address = plainAddress(rawAddress);
    const host = this.#host(address);
    return host instanceof Promise ? host.then((found) => ({ address, port, ...found })) : { address, port, ...host };
  }

  #host(address: string): HostName | Promise<HostName> {
    if (this.#lookup === undefined) return unknown('permanent');
    const known = this.#known.get(address);
    if (known !== undefined && known.until > Date.now()) return known.host;
    const asked = this.#find(this.#lookup, address).then((host) => {
      this.#keep(address, host, host.nameStatus === 'temporary' ? FAILURE_LIFETIME : LIFETIME);
      return host;
    });
    this.#keep(address, asked, LOOKUP_TIMEOUT * 3);
    return asked;
  }

  #keep(address: string, host: HostName | Promise<HostName>, lifetime: number): void {
    this.#known.delete(address);
    if (this.#known.size >= ENTRIES) {
      const oldest = this.#known.keys().next();
      if (oldest.done === false) this.#known.delete(oldest.value);
    }
    this.#known.set(address, { until: Date.now() + lifetime, host });
  }

  async #find(lookup: HostLookup, address: string): Promise<HostName> {
    let name: string | undefined;
    try {
      [name] = await inTime(lookup.reverse(address));
    } catch (error) {
      return unknown(failure(error));
    }
    if (name === undefined || name === '' || !/^[\w.-]+$/.test(name) || /^[\d.]+$/.test(name))
      return unknown('permanent');
    try {
      const back = await inTime(lookup.addresses(name));
      if (back.some((other) => plainAddress(other) === address)) {
        return { name, reverseName: name, nameStatus: 'ok', reverseNameStatus: 'ok' };
      }
      this.#warn(`hostname ${name} does not resolve to address ${address}`);
      return { name: UNKNOWN, reverseName: name, nameStatus: 'forged', reverseNameStatus: 'ok' };
    } catch (error) {
      const status = failure(error);
      this.#warn(
        `hostname ${name} does not resolve to address ${address}: ${status === 'temporary' ? 'Temporary failure in name resolution' : 'Name or service not known'}`,
      );
      return { name: UNKNOWN, reverseName: name, nameStatus: status, reverseNameStatus: 'ok' };
    }
  }
}

function unknown(status: NameStatus): HostName {
  return { name: UNKNOWN, reverseName: UNKNOWN, nameStatus: status, reverseNameStatus: status };
}

function failure(error: unknown): NameStatus {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EAI_NONAME' || code === 'NXDOMAIN'
    ? 'permanent'
    : 'temporary';
}

/** IPv4 in its own form where it came mapped into IPv6; no interface name. */
export function plainAddress(address: string): string {
  const mapped = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
  const percent = mapped.indexOf('%');
  return percent < 0 ? mapped : mapped.slice(0, percent);
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      work,
      new Promise<never>((_resolve, reject) => {
        timer = setTimeout(
          () => reject(Object.assign(new Error('lookup timed out'), { code: 'ETIMEOUT' })),
          LOOKUP_TIMEOUT,
        );
        timer.unref();
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}
