/**
 * Virtual alias expansion (virtual(5), ADDRESS_REWRITING_README): a recipient becomes any number of others. Results are
 * looked up again, until an address is in no table; an address that is among its own results stays as it is.
 *
 * Bounds: virtual_alias_expansion_limit addresses for each recipient, virtual_alias_recursion_limit levels,
 * virtual_alias_address_length_limit characters each. Beyond them, and where aliases lead in a circle, the message is not
 * accepted for the time being: a table is wrong, and its sender is not to blame.
 *
 * Rejects with TableError on a temporary failure. Logs what is beyond a limit.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { type AddressMappingOptions, mapAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';
import { caseFold } from '../../lib/util/case-fold.ts';
import type { MappingLookup } from './canonical.ts';

export const VIRTUAL_ALIAS_PARAMETERS = [
  'virtual_alias_maps',
  'virtual_alias_expansion_limit',
  'virtual_alias_recursion_limit',
  'virtual_alias_address_length_limit',
  'propagate_unmatched_extensions',
] as const;

export interface VirtualAliasContext {
  readonly maps: Maps;
  readonly lookup: AddressMappingOptions;
  readonly expansionLimit: number;
  readonly recursionLimit: number;
  readonly addressLengthLimit: number;
  warn(text: string): void;
}

/** Opens the tables and reads their limits. What cannot be opened fails its look-ups. */
export async function openVirtualAlias(
  configuration: Configuration,
  tables: TableContext,
  lookup: MappingLookup,
): Promise<VirtualAliasContext & AsyncDisposable> {
  const maps = await openMaps('virtual_alias_maps', configuration.text('virtual_alias_maps'), tables);
  const propagateExtension = configuration.list('propagate_unmatched_extensions').includes('virtual');
  return {
    maps,
    lookup: { ...lookup, propagateExtension },
    expansionLimit: configuration.integer('virtual_alias_expansion_limit'),
    recursionLimit: configuration.integer('virtual_alias_recursion_limit'),
    addressLengthLimit: configuration.integer('virtual_alias_address_length_limit'),
    warn: (text) => tables.warn(text),
    [Symbol.asyncDispose]: () => maps.close(),
  };
}

/** The recipients; or why there are none for the time being: status and text of the reply to the client. */
export type Expansion =
  | { readonly ok: true; readonly recipients: readonly string[] }
  | { readonly ok: false; readonly status: string; readonly reason: string };

const REFUSED: Expansion = { ok: false, status: '4.6.0', reason: 'Alias expansion error' };

/** An address that is still to be looked up, and the one whose result it is. */
interface Pending {
  readonly address: string;
  readonly key: string;
  readonly level: number;
  readonly parent: Pending | undefined;
}

/** The recipients that one recipient stands for, each once, in the order of the tables; itself where nothing applies. */
export async function expandVirtualAlias(context: VirtualAliasContext, recipient: string): Promise<Expansion> {
  if (context.maps.isEmpty) return { ok: true, recipients: [recipient] };
  const expanded = new Set<string>();
  const results = new Map<string, string>();
  const refuse = (what: string): Expansion => {
    context.warn(`unreasonable ${context.maps.parameter} ${what} -- message not accepted, try again later`);
    return REFUSED;
  };
  // The next one to look up stands last, so that the results of an alias take its place in the order.
  const pending: Pending[] = [{ address: recipient, key: caseFold(recipient), level: 0, parent: undefined }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { address, key, level } = next;
    if (next.parent?.key === key) {
      results.set(key, address);
      continue;
    }
    if (isOwnAncestor(next)) return refuse(`map nesting for ${recipient}`);
    if (expanded.has(key)) continue;
    expanded.add(key);
    const found = (await mapAddress(context.maps, address, context.lookup)) ?? [];
    if (found.length === 0) results.set(key, results.get(key) ?? address);
    else if (level >= context.recursionLimit) return refuse(`map nesting for ${recipient}`);
    for (const result of found.toReversed()) {
      if (result.length > context.addressLengthLimit) {
        return refuse(`result ${result.slice(0, 300)}... in map expansion for ${address}`);
      }
      pending.push({ address: result, key: caseFold(result), level: level + 1, parent: next });
    }
    if (pending.length + results.size > context.expansionLimit) return refuse(`map expansion size for ${recipient}`);
  }
  return { ok: true, recipients: [...results.values()] };
}

/** Was this address looked up on the way to itself? */
function isOwnAncestor({ key, parent }: Pending): boolean {
  for (let above = parent; above !== undefined; above = above.parent) if (above.key === key) return true;
  return false;
}
