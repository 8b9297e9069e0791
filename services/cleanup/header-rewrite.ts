/**
 * Addresses in the headers of a message: completed in the client's rewriting context, mapped through canonical tables and
 * masqueraded. A header whose addresses all stay keeps its bytes.
 *
 * Rejects with TableError, or what trivial-rewrite says, where something fails for now. Nearly all mail has nothing to be
 * rewritten, which is known at once.
 */
import { isComplete } from '../../lib/mail/complete-address.ts';
import { addressHeaderKind, mapHeaderAddresses } from '../../lib/mail/header-addresses.ts';
import { type HeaderBlock, type HeaderSpan, headerValue } from '../../lib/mail/headers.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
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
  for (const entry of text.split(',')) {
    const match = PLAIN_ENTRY.exec(entry.trim());
    if (match === null || !isComplete(match[1] ?? match[2]!)) return false;
  }
  return true;
}

/** An address by itself, or in angle brackets behind a name without special characters. */
const PLAIN_ENTRY = /^(?:[^!"%(),:;<>@[\\\]\x7f-\uffff]*<([^<>\s]+)>|([^<>\s]+))$/;

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

/** The text of the From: header for an envelope sender: its own address as it is kept, rewritten as headers are. */
export async function senderText(sender: string, options: HeaderRewriteOptions): Promise<string> {
  const kept = await options.mapping.one('envelope_sender', 'local', sender, options.mapped);
  const text = kept === '' ? 'MAILER-DAEMON' : quote822Local(kept);
  if (options.context === 'none') return text;
  const header = await rewriteOne('', text, 'header_sender', options);
  return header === undefined ? text : header.slice(NO_NAME.length);
}

/** What stands in front of the text of a header without a name. */
const NO_NAME = ': ';

async function rewrite(
  content: Buffer,
  found: readonly AddressHeader[],
  options: HeaderRewriteOptions,
): Promise<Map<number, Buffer>> {
  const replaced = new Map<number, Buffer>();
  for (const { header, addressClass } of found) {
    const text = decodeBytes(content.subarray(header.valueStart, header.end));
    const name = content.toString('latin1', header.start, header.nameEnd);
    const rewritten = await rewriteOne(name, text, addressClass, options);
    if (rewritten !== undefined) replaced.set(header.start, encodeBytes(rewritten));
  }
  return replaced;
}

/** The whole header; undefined where no address in it changes. */
function rewriteOne(
  name: string,
  text: string,
  addressClass: AddressHeader['addressClass'],
  options: HeaderRewriteOptions,
): Promise<string | undefined> {
  const { mapping, context, mapped, tokenLimit, warn } = options;
  const rule = context === 'remote' ? 'remote' : 'local';
  const map = (address: string) => (mapped ? mapping.mapped(addressClass, address) : address);
  return mapHeaderAddresses(name, text, map, {
    tokenLimit,
    warn,
    ...(context === 'none' ? {} : { complete: (external) => mapping.completeExternal(rule, external) }),
  });
}
