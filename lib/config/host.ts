/**
 * Values that come from the host where main.cf does not set them: myhostname, mydomain, mynetworks.
 * Side effects: reads the host's name and its network interfaces.
 * @see postconf(5) myhostname, mydomain, mynetworks, mynetworks_style
 */
import { hostname, networkInterfaces } from 'node:os';
import { FatalError } from '../util/errors.ts';

export interface InterfaceAddress {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly prefixLength: number;
}

export interface Host {
  readonly name: string;
  readonly addresses: readonly InterfaceAddress[];
}

/** Name and interface addresses of this host, in the order in which the system lists them. */
export function readHost(): Host {
  const addresses = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address, family, cidr }) => ({
      address,
      family,
      prefixLength: Number(cidr?.split('/')[1] ?? (family === 'IPv4' ? 32 : 128)),
    })),
  );
  return { name: hostname(), addresses };
}

/** Default of myhostname: the host's name, made fully qualified with mydomain, else with `localdomain`. */
export function defaultMyhostname(host: Host, mydomain: string | undefined): string {
  if (host.name.includes('.')) return host.name;
  return `${host.name}.${mydomain === undefined || mydomain === '' ? 'localdomain' : mydomain}`;
}

/** Default of mydomain: myhostname without its first label. */
export function defaultMydomain(myhostname: string): string {
  const dot = myhostname.indexOf('.');
  return dot < 0 ? 'localdomain' : myhostname.slice(dot + 1);
}

/** The bytes of an address as its interface shows it. */
function bytesOf({ address, family }: InterfaceAddress): number[] {
  if (family === 'IPv4') return address.split('.').map(Number);
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const words = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const [front, back] = [words(head), words(tail)];
  const middle = new Array<number>(tail === undefined ? 0 : 8 - front.length - back.length).fill(0);
  return [...front, ...middle, ...back].flatMap((word) => [word >> 8, word & 255]);
}

function maskBytes(bytes: readonly number[], prefixLength: number): number[] {
  return bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, prefixLength - index * 8));
    return byte & (0xff << (8 - kept)) & 0xff;
  });
}

/** Shortest form of an IPv6 address (RFC 5952). */
function formatIPv6(bytes: readonly number[]): string {
  const words = Array.from({ length: 8 }, (_, index) =>
    ((bytes[index * 2]! << 8) | bytes[index * 2 + 1]!).toString(16),
  );
  let [bestStart, bestLength] = [-1, 1];
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (words[start + length] === '0') length++;
    if (length > bestLength) [bestStart, bestLength] = [start, length];
  }
  if (bestStart < 0) return words.join(':');
  return `${words.slice(0, bestStart).join(':')}::${words.slice(bestStart + bestLength).join(':')}`;
}

/** One network in the form of mynetworks. */
function formatNetwork(interfaceAddress: InterfaceAddress, prefixLength: number): string {
  const bytes = maskBytes(bytesOf(interfaceAddress), prefixLength);
  return interfaceAddress.family === 'IPv4'
    ? `${bytes.join('.')}/${prefixLength}`
    : `[${formatIPv6(bytes)}]/${prefixLength}`;
}

/** Prefix length of the A, B or C network that an IPv4 address is in. */
function classPrefixLength(interfaceAddress: InterfaceAddress): number {
  if (interfaceAddress.family === 'IPv6') return interfaceAddress.prefixLength;
  const [first = 0] = bytesOf(interfaceAddress);
  return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32;
}

/**
 * The interface addresses that inet_interfaces and inet_protocols leave. Of names, `all`, `loopback-only` and
 * `localhost` are known here; another name would need a resolver, and leaves out its addresses.
 */
export function receivingAddresses(
  addresses: readonly InterfaceAddress[],
  interfaces: readonly string[],
  protocols: readonly string[],
): InterfaceAddress[] {
  const literal = new Set(interfaces.map((item) => item.replace(/^\[(.*)\]$/, '$1').toLowerCase()));
  const loopback = literal.has('loopback-only') || literal.has('localhost');
  return addresses.filter(({ address, family }) => {
    if (!protocols.includes('all') && !protocols.includes(family.toLowerCase())) return false;
    return literal.has('all') || literal.has(address.toLowerCase()) || (loopback && isLoopback(address));
  });
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** Default of mynetworks in the style given, over the interface addresses that mail is received on. */
export function defaultMynetworks(style: string, addresses: readonly InterfaceAddress[]): string {
  const prefixLength = (one: InterfaceAddress): number => {
    switch (style) {
      case 'subnet':
        return one.prefixLength;
      case 'class':
        return classPrefixLength(one);
      case 'host':
        return one.family === 'IPv4' ? 32 : 128;
      default:
        throw new FatalError(`mynetworks_style = ${style}: expected host, subnet or class`);
    }
  };
  const ordered = [...addresses].sort((a, b) => a.family.localeCompare(b.family));
  return [...new Set(ordered.map((one) => formatNetwork(one, prefixLength(one))))].join(' ');
}
