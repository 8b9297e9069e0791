/**
 * Addresses in the headers of a message: completed in the client's rewriting context, mapped through canonical tables and
 * masqueraded. A header whose addresses all stay keeps its bytes.
 *
 * Rejects with TableError, or what trivial-rewrite says, where something fails for now. Nearly all mail has nothing to be
 * rewritten, which is known at once.
 */
import { addressHeaderKind, mapHeaderAddresses } from '../../lib/mail/header-addresses.ts';
import { type HeaderBlock, type HeaderSpan, headerValue } from '../../lib/mail/headers.ts';
import { decodeBytes, encodeBytes } from '../../lib/util/byte-text.ts';
import type { MaybePromise } from '../../lib/util/maybe-promise.ts';
import type { AddressMapping } from './mapping.ts';

export interface HeaderRewriteOptions {
  readonly mapping: AddressMapping;
  /** Where a client's addresses lack a domain they get one: always for "local", for others with remote_header_rewrite_domain. */
  readonly context: 'local' | 'remote' | 'none';
  /** header_address_token_limit */
  readonly tokenLimit: number;
  /** Canonical tables and masquerading apply. */
  readonly mapped: boolean;
  readonly warn: (text: string) => void;
}

/**
 * True for text that is one plain address after the other, each complete, as in nearly all mail: nothing would be
 * completed there. Text with comments, groups, quotes or routes is looked at properly.
 */
export function isPlainlyComplete(text: string): boolean {
  for (let from = 0; from < text.length; ) {
    let to = text.indexOf(',', from);
    if (to < 0) to = text.length;
    const at = text.indexOf('@', from);
    if (at < 0 || at >= to || at === from || text.indexOf('.', at + 2) < 0 || text.indexOf('.', at + 2) >= to)
      return false;
    for (let index = from; index < to; index++) {
      const code = text.charCodeAt(index);
      // "!", quotes, "%", parentheses, ":", ";", brackets, a second "@", a backslash, and what is not ASCII.
      if (
        code === 0x21 ||
        code === 0x22 ||
        code === 0x25 ||
        code === 0x28 ||
        code === 0x29 ||
        code === 0x3a ||
        code === 0x3b
      )
        return false;
      if (code === 0x5b || code === 0x5c || code === 0x5d || code >= 0x7f || (code === 0x40 && index !== at))
        return false;
    }
    const last = text.slice(at, to).trimEnd();
    if (last.endsWith('.') || last.endsWith('.>')) return false;
    from = to + 1;
  }
  return true;
}

const NONE: ReadonlyMap<number, Buffer> = new Map();

interface AddressHeader {
  readonly header: HeaderSpan;
  readonly addressClass: 'header_sender' | 'header_recipient';
}

/** The headers in which an address could change. */
function candidates(content: Buffer, block: HeaderBlock, options: HeaderRewriteOptions): AddressHeader[] {
  const { mapping, context, mapped } = options;
  const found: AddressHeader[] = [];
  for (const header of block.headers) {
    const kind = addressHeaderKind(header.name);
    if (kind === undefined) continue;
    const addressClass = kind === 'sender' ? 'header_sender' : 'header_recipient';
    const maps = mapped && mapping.maps(addressClass);
    if (context === 'none' && !maps) continue;
    if (maps || !isPlainlyComplete(headerValue(content, header))) found.push({ header, addressClass });
  }
  return found;
}

/** The whole headers that replace others, by the position of those; empty where none changes. */
export function rewriteHeaders(
  content: Buffer,
  block: HeaderBlock,
  options: HeaderRewriteOptions,
): MaybePromise<ReadonlyMap<number, Buffer>> {
  const found = candidates(content, block, options);
  return found.length === 0 ? NONE : rewrite(content, found, options);
}

async function rewrite(
  content: Buffer,
  found: readonly AddressHeader[],
  options: HeaderRewriteOptions,
): Promise<Map<number, Buffer>> {
  const { mapping, context, mapped, tokenLimit, warn } = options;
  const replaced = new Map<number, Buffer>();
  for (const { header, addressClass } of found) {
    const text = decodeBytes(content.subarray(header.valueStart, header.end));
    const rule = context === 'remote' ? 'remote' : 'local';
    const rewritten = await mapHeaderAddresses(text, (address) => mapping.one(addressClass, rule, address, mapped), {
      tokenLimit,
      warn,
    });
    if (rewritten === undefined) continue;
    const name = content.toString('latin1', header.start, header.nameEnd);
    replaced.set(header.start, encodeBytes(`${name}: ${rewritten}`));
  }
  return replaced;
}
