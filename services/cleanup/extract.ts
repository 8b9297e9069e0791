/**
 * Recipients that stand in the headers (sendmail -t): To:, Cc: and Bcc:, or their Resent- forms where there are any. Pure.
 */
import type { Recipient } from '../../lib/clients/protocols.ts';
import type { HeaderBlock } from '../../lib/mail/headers.ts';
import { parseAddressList } from '../../lib/mail/tok822.ts';
import { decodeBytes } from '../../lib/util/byte-text.ts';

const PLAIN: ReadonlySet<string> = new Set(['to', 'cc', 'bcc']);
const RESENT: ReadonlySet<string> = new Set(['resent-to', 'resent-cc', 'resent-bcc']);

/** `tokenLimit`: header_address_token_limit, for each header. */
export function extractRecipients(content: Buffer, block: HeaderBlock, tokenLimit: number): Recipient[] {
  const names = block.headers.some(({ name }) => RESENT.has(name)) ? RESENT : PLAIN;
  return block.headers
    .filter(({ name }) => names.has(name))
    .flatMap((header) => parseAddressList(decodeBytes(content.subarray(header.valueStart, header.end)), tokenLimit))
    .filter((address) => address !== '')
    .map((address) => ({ address, originalAddress: '', dsnOriginalRecipient: '', dsnNotify: 0 }));
}
