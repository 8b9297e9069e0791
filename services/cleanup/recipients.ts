/**
 * The recipients that a message is kept for: addresses in standard form, duplicates removed (duplicate_filter_limit).
 * Pure.
 */
import type { Recipient } from '../../lib/clients/protocols.ts';

/** Keeps the first of equal recipients; two are equal where address, original address and NOTIFY are. */
export function withoutDuplicates(recipients: Recipient[], limit: number): Recipient[] {
  if (limit === 0 || recipients.length === 1) return recipients;
  const seen = new Set<string>();
  return recipients.filter(({ address, originalAddress, dsnOriginalRecipient, dsnNotify }) => {
    const at = address.lastIndexOf('@');
    const folded = at < 0 ? address : address.slice(0, at) + address.slice(at).toLowerCase();
    const key = [folded, originalAddress, dsnOriginalRecipient, dsnNotify].join('\n');
    if (seen.has(key)) return false;
    if (seen.size < limit) seen.add(key);
    return true;
  });
}
