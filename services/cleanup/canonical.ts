/**
 * Canonical mapping (canonical(5), ADDRESS_REWRITING_README): one address becomes another one, in envelopes and headers.
 *
 * sender_canonical_maps or recipient_canonical_maps come first, canonical_maps after them; each is applied to its own
 * result until that does not change. Results with several addresses keep the first, with a warning.
 *
 * Rejects with TableError on a temporary failure. Logs a table that leads on and on; its last result is used.
 */
import { type AddressMappingOptions, mapAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';

/** Where an address stands; the words of canonical_classes. */
export type AddressClass = 'envelope_sender' | 'envelope_recipient' | 'header_sender' | 'header_recipient';

/** A table under the parameter that names it, and what it applies to. */
export interface CanonicalTable {
  readonly maps: Maps;
  readonly classes: ReadonlySet<string>;
}

export interface CanonicalContext {
  /** In the order in which they are applied: the table for senders, the one for recipients, the one for both. */
  readonly tables: readonly CanonicalTable[];
  readonly lookup: AddressMappingOptions;
  warn(text: string): void;
}

/** How often a table is applied to its own result. */
const MAX_NESTING = 10;

/** The mapped address; the same text where no table applies. Rejects with TableError. */
export async function mapCanonical(
  context: CanonicalContext,
  addressClass: AddressClass,
  address: string,
): Promise<string> {
  let mapped = address;
  for (const { maps, classes } of context.tables) {
    if (!maps.isEmpty && classes.has(addressClass)) mapped = await applyTable(context, maps, mapped);
  }
  return mapped;
}

async function applyTable(context: CanonicalContext, maps: Maps, address: string): Promise<string> {
  let current = address;
  for (let nesting = 0; nesting < MAX_NESTING; nesting++) {
    const results = await mapAddress(maps, current, context.lookup);
    const [first] = results ?? [];
    if (first === undefined || first === current) return current;
    if (results!.length > 1) context.warn(`multi-valued ${maps.parameter} entry for ${current}`);
    current = first;
  }
  context.warn(`unreasonable ${maps.parameter} map nesting for ${current} -- message not accepted, try again later`);
  return current;
}
