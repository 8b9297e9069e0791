/**
 * transport(5): which transport and nexthop a table chooses for a recipient.
 *
 * Keys: the whole address, the address without its extension, the domain, its parent domains, `*`. A result is
 * `transport:nexthop`; where one field is empty see `applyResult`.
 */
import { type AddressStrategy, findAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';

/** A delivery method: the name of a master.cf entry, and what it is to do. */
export interface Route {
  readonly transport: string;
  readonly nexthop: string;
}

export interface TransportLookupOptions {
  readonly recipientDelimiter: string;
  /** transport_maps stands in parent_domain_matches_subdomains: `example.com` also stands for its subdomains. */
  readonly parentDomains: boolean;
}

/** Takes `transport:nexthop` apart; without a colon it is all transport. */
export function parseRoute(text: string): Route {
  const colon = text.indexOf(':');
  if (colon < 0) return { transport: text.trim(), nexthop: '' };
  return { transport: text.slice(0, colon).trim(), nexthop: text.slice(colon + 1).trim() };
}

/**
 * The route that the table chooses for the recipient, else undefined. `otherwise` is the route without the table.
 * Rejects with TableError.
 */
export async function lookupTransport(
  maps: Maps,
  recipient: string,
  otherwise: Route,
  options: TransportLookupOptions,
): Promise<Route | undefined> {
  const strategy: AddressStrategy = {
    full: true,
    withoutExtension: true,
    domain: true,
    parentDomains: options.parentDomains,
    dotParentDomains: !options.parentDomains,
  };
  const match = await findAddress(maps, recipient, {
    recipientDelimiter: options.recipientDelimiter,
    isLocalDomain: () => false,
    strategy,
  });
  const result = match?.value ?? (await maps.lookup('*', { partial: true }));
  return result === undefined ? undefined : applyResult(parseRoute(result), recipient, otherwise);
}

/**
 * Both fields empty: as if there were no table. An empty transport: only the nexthop changes. An empty nexthop: the
 * recipient's domain.
 */
function applyResult(result: Route, recipient: string, otherwise: Route): Route {
  if (result.transport === '') return result.nexthop === '' ? otherwise : { ...otherwise, nexthop: result.nexthop };
  if (result.nexthop !== '') return result;
  return { transport: result.transport, nexthop: recipient.slice(recipient.lastIndexOf('@') + 1) };
}
