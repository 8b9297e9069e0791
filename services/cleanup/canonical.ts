/**
 * Canonical mapping (canonical(5), ADDRESS_REWRITING_README): one address becomes another one, in envelopes and headers.
 *
 * sender_canonical_maps or recipient_canonical_maps come first, canonical_maps after them; each is applied to its own
 * result until that does not change. Results with several addresses keep the first, with a warning.
 *
 * Rejects with TableError on a temporary failure. Logs a table that leads on and on; its last result is used.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { type AddressMappingOptions, mapAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';

export const CANONICAL_PARAMETERS = [
  'sender_canonical_maps',
  'sender_canonical_classes',
  'recipient_canonical_maps',
  'recipient_canonical_classes',
  'canonical_maps',
  'canonical_classes',
  'propagate_unmatched_extensions',
] as const;

/** How a service looks addresses up; whether extensions are put back is each table's own setting. */
export type MappingLookup = Omit<AddressMappingOptions, 'propagateExtension'>;

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

/** Opens the three tables. What cannot be opened fails its look-ups. */
export async function openCanonical(
  configuration: Configuration,
  tables: TableContext,
  lookup: MappingLookup,
): Promise<CanonicalContext & AsyncDisposable> {
  const opened: CanonicalTable[] = [];
  for (const name of ['sender_canonical', 'recipient_canonical', 'canonical']) {
    opened.push({
      maps: await openMaps(`${name}_maps`, configuration.text(`${name}_maps`), tables),
      classes: new Set(configuration.list(`${name}_classes`)),
    });
  }
  const propagateExtension = configuration.list('propagate_unmatched_extensions').includes('canonical');
  return {
    tables: opened,
    lookup: { ...lookup, propagateExtension },
    warn: (text) => tables.warn(text),
    [Symbol.asyncDispose]: async () => {
      for (const { maps } of opened) await maps.close();
    },
  };
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
