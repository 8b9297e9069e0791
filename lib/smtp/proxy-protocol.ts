/**
 * The PROXY protocol of HAProxy, versions 1 (text) and 2 (binary): the first bytes of a connection through a proxy, which
 * say who the client is (proxy-protocol.txt of HAProxy; POSTSCREEN_README, smtpd_upstream_proxy_protocol).
 *
 * Pure. IPv4 addresses that are mapped into IPv6 are given as IPv4.
 */
import { isIPv6 } from 'node:net';

export interface ProxyAddresses {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
}

/** What was read: the addresses, no addresses (a health check of the proxy itself), more bytes needed, or a mistake. */
export type ProxyHeader =
  | { readonly kind: 'addresses'; readonly consumed: number; readonly addresses: ProxyAddresses }
  | { readonly kind: 'local'; readonly consumed: number }
  | { readonly kind: 'more' }
  | { readonly kind: 'error'; readonly error: string };

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** The longest header of version 1, by its definition. */
const TEXT_LIMIT = 107;
/** Longer headers of version 2 have no place in a connection to a mail server. */
const BINARY_LIMIT = 536;
const LF = 10;
const PREFIX = 'PROXY ';

const fail = (error: string): ProxyHeader => ({ kind: 'error', error });

/** Reads the header at the start of what a connection sent. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  const common = Math.min(bytes.length, SIGNATURE.length);
  if (common > 0 && bytes.subarray(0, common).equals(SIGNATURE.subarray(0, common))) return readBinary(bytes);
  return readText(bytes);
}

function readText(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf(LF);
  if (end < 0 && bytes.length < TEXT_LIMIT) {
    const start = bytes.toString('latin1', 0, Math.min(bytes.length, PREFIX.length));
    return PREFIX.startsWith(start) ? { kind: 'more' } : fail('short protocol header');
  }
  if (end < 0 || end >= TEXT_LIMIT) return fail('short protocol header');
  const line = bytes.toString('latin1', 0, end).replace(/\r$/, '');
  const [protocol, type, client, server, clientPort, serverPort, ...rest] = line.split(/[ \t]+/);
  if (protocol !== 'PROXY')
    return fail(line.startsWith(PREFIX) ? 'bad or missing protocol header' : 'short protocol header');
  const consumed = end + 1;
  if (type === 'UNKNOWN') return { kind: 'local', consumed };
  if (type !== 'TCP4' && type !== 'TCP6') return fail('bad or missing protocol type');
  const clientAddress = readAddress(type, client);
  if (clientAddress === undefined) return fail('bad or missing client address');
  const serverAddress = readAddress(type, server);
  if (serverAddress === undefined) return fail('bad or missing server address');
  const client16 = readPort(clientPort);
  if (client16 === undefined) return fail('bad or missing client port');
  const server16 = readPort(serverPort);
  if (server16 === undefined || rest.length > 0) return fail('bad or missing server port');
  return {
    kind: 'addresses',
    consumed,
    addresses: { clientAddress, clientPort: client16, serverAddress, serverPort: server16 },
  };
}

/** An address of the family that the header names. Octets may have leading zeros, as some proxies write them. */
function readAddress(type: 'TCP4' | 'TCP6', text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (type === 'TCP4') return readOctets(text);
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  return mapped ?? shortForm(text);
}

function readOctets(text: string): string | undefined {
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255))
    return undefined;
  return octets.map(Number).join('.');
}

/** The usual form of an IPv6 address, in lower case and without zeros that say nothing. */
function shortForm(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

function readBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < 16) return { kind: 'more' };
  const command = bytes[12]!;
  const family = bytes[13]!;
  const length = bytes.readUInt16BE(14);
  const consumed = 16 + length;
  if (command >> 4 !== 2) return fail('bad protocol version');
  if (consumed > BINARY_LIMIT) return fail('too long protocol header');
  if (bytes.length < consumed) return { kind: 'more' };
  if ((command & 15) === 0) return { kind: 'local', consumed };
  if ((command & 15) !== 1) return fail('bad proxy protocol v2 command');
  if (family === 0x11) {
    if (length < 12) return fail('short address field');
    return binaryAddresses(bytes, consumed, 4, (at) => Array.from(bytes.subarray(at, at + 4)).join('.'));
  }
  if (family === 0x21) {
    if (length < 36) return fail('short address field');
    return binaryAddresses(bytes, consumed, 16, (at) => {
      const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(at + 2 * group).toString(16));
      const address = shortForm(groups.join(':'));
      const mapped = bytes.subarray(at, at + 12).equals(MAPPED);
      return mapped ? Array.from(bytes.subarray(at + 12, at + 16)).join('.') : address;
    });
  }
  return fail('unsupported network protocol');
}

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

function binaryAddresses(bytes: Buffer, consumed: number, size: number, read: (at: number) => string): ProxyHeader {
  return {
    kind: 'addresses',
    consumed,
    addresses: {
      clientAddress: read(16),
      serverAddress: read(16 + size),
      clientPort: bytes.readUInt16BE(16 + 2 * size),
      serverPort: bytes.readUInt16BE(18 + 2 * size),
    },
  };
}
