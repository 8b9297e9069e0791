/**
 * Which texts can stand behind the `@` of an address: host names (RFC 1035, with `_` and 8-bit labels tolerated) and
 * address literals (RFC 5321 section 4.1.3).
 *
 * Pure.
 */
import { isIPv4, isIPv6 } from 'node:net';

const MAX_NAME = 255;
const MAX_LABEL = 63;
const ASCII_LABEL = /^\w(?:[\w-]*\w)?$/;
const LABEL = /^[\w\u0080-\uffff](?:[\w\u0080-\uffff-]*[\w\u0080-\uffff])?$/;

/** A host name or an address literal? */
export function isMailDomain(domain: string, utf8 = true): boolean {
  return domain.startsWith('[') ? isAddressLiteral(domain) : isHostName(domain, utf8);
}

/** A name of labels with single dots between them; digits and dots alone make no name. `utf8`: labels may be UTF-8. */
export function isHostName(name: string, utf8 = true): boolean {
  if (name === '' || name.length > MAX_NAME || /^[\d.]*$/.test(name)) return false;
  return name.split('.').every((label) => label.length <= MAX_LABEL && (utf8 ? LABEL : ASCII_LABEL).test(label));
}

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]`? */
export function isAddressLiteral(text: string): boolean {
  if (!text.startsWith('[') || !text.endsWith(']')) return false;
  const inside = text.slice(1, -1);
  return /^ipv6:/i.test(inside) ? isIPv6(inside.slice(5)) : isIPv4(inside);
}
