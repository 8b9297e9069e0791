/**
 * IP addresses as bytes, and CIDR patterns over them. A pattern is an address, or address/length where the bits beyond
 * the length must be zero; it may stand in `[ ]`, and `!` in front turns its meaning round (cidr_table(5), mynetworks).
 */
import { isIPv4, isIPv6 } from 'node:net';

/** 4 or 16 bytes, or undefined where the text is no IP address. */
export function parseAddress(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  return isIPv6(text) && !text.includes('%') ? parseIPv6(text) : undefined;
}

function parseIPv6(text: string): Uint8Array {
  let plain = text;
  const dotted = text.lastIndexOf(':') + 1;
  if (text.includes('.')) {
    const [a = 0, b = 0, c = 0, d = 0] = text.slice(dotted).split('.').map(Number);
    plain = `${text.slice(0, dotted)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const bytes = new Uint8Array(16);
  for (const [at, group] of groups.entries()) {
    const value = Number.parseInt(group, 16);
    bytes[2 * at] = value >> 8;
    bytes[2 * at + 1] = value & 0xff;
  }
  return bytes;
}

/** The usual text form: dotted decimal, or RFC 5952. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((bytes[at]! << 8) | bytes[at + 1]!);
  const run = longestZeroRun(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (run.length < 2) return text(0, 8);
  return `${text(0, run.start)}::${text(run.start + run.length, 8)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** A parsed pattern. */
export interface CidrPattern {
  readonly network: Uint8Array;
  /** Number of leading bits that count. */
  readonly length: number;
  /** True where the pattern stands for all addresses that it does not name. */
  readonly negated: boolean;
}

/** A pattern, or what is wrong with it, in the words of Postfix's log lines. */
export function parseCidr(text: string): CidrPattern | { readonly error: string } {
  const bare = text.replace(/^[!\s]+/, '');
  const negated = (text.slice(0, text.length - bare.length).match(/!/g)?.length ?? 0) % 2 === 1;
  if (bare === '') return { error: 'no address pattern' };
  let pattern = bare;
  if (bare.startsWith('[')) {
    const close = bare.indexOf(']');
    if (close < 0) return { error: `missing ']' character after "${bare}"` };
    const rest = bare.slice(close + 1);
    if (rest !== '' && !rest.startsWith('/')) return { error: `garbage after "${bare.slice(0, close + 1)}"` };
    pattern = bare.slice(1, close) + rest;
  }
  const slash = pattern.indexOf('/');
  if (slash < 0) {
    const network = parseAddress(pattern);
    if (network === undefined) return { error: `bad address pattern: "${pattern}"` };
    return { network, length: network.length * 8, negated };
  }
  return parseNetwork(pattern, slash, negated);
}

function parseNetwork(pattern: string, slash: number, negated: boolean): CidrPattern | { readonly error: string } {
  const mask = pattern.slice(slash + 1);
  if (!/^\d+$/.test(mask)) return { error: `bad mask value in "${pattern}"` };
  const network = parseAddress(pattern.slice(0, slash));
  if (network === undefined) return { error: `bad network value in "${pattern}"` };
  const length = Number(mask);
  if (length > network.length * 8) return { error: `bad mask length in "${pattern}"` };
  const masked = network.map((byte, at) => byte & maskByte(length, at));
  if (!masked.every((byte, at) => byte === network[at])) {
    const better = `${formatAddress(masked)}/${length}`;
    return { error: `non-null host address bits in "${pattern}", perhaps you should use "${better}" instead` };
  }
  return { network, length, negated };
}

function maskByte(length: number, at: number): number {
  const bits = Math.min(8, Math.max(0, length - 8 * at));
  return (0xff00 >> bits) & 0xff;
}

/** True where the address belongs to the network; an address of the other family never does. Negation is not applied. */
export function inNetwork(address: Uint8Array, pattern: CidrPattern): boolean {
  const { network, length } = pattern;
  if (address.length !== network.length) return false;
  const whole = length >> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== network[at]) return false;
  return (length & 7) === 0 || (address[whole]! & maskByte(length, whole)) === network[whole];
}

/** True where the address matches the pattern, negation applied. One of the other family does not, negated or not. */
export function matchesCidr(address: Uint8Array, pattern: CidrPattern): boolean {
  return address.length === pattern.network.length && inNetwork(address, pattern) !== pattern.negated;
}
