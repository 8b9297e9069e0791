/**
 * What trivial-rewrite(8) works with: its settings, and the lists and tables that they name, open. Tests build one with
 * `openContext` from a configuration of their own.
 */
import { ownAddresses } from '../../lib/config/own-addresses.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { LocalDomains } from '../../lib/tables/local-domains.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { DomainList } from '../../lib/tables/match-list.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';
import { type RouteSettings, readSettings, type TrivialRewriteSettings } from './settings.ts';

/** The tables of one kind of resolving. */
export interface RouteTables {
  readonly settings: RouteSettings;
  readonly senderDependentRelayhost: Maps;
  readonly senderDependentDefaultTransport: Maps;
  readonly transport: Maps;
}

export interface TrivialRewriteContext extends AsyncDisposable {
  readonly settings: TrivialRewriteSettings;
  readonly localDomains: LocalDomains;
  readonly virtualAliasDomains: DomainList;
  readonly virtualMailboxDomains: DomainList;
  readonly relayDomains: DomainList;
  readonly relocated: Maps;
  readonly resolve: RouteTables;
  readonly verify: RouteTables;
  /** The domain lists hold nothing but names, so what was answered once holds for as long as the service runs. */
  readonly fixedDomains: boolean;
  warn(text: string): void;
}

/** Opens everything. Never throws for a table: one that cannot be opened fails its lookups. */
export async function openContext(configuration: Configuration, tables: TableContext): Promise<TrivialRewriteContext> {
  const settings = readSettings(configuration);
  const opened = new AsyncDisposableStack();
  const keep = <T extends AsyncDisposable>(value: T): T => opened.use(value);
  const parentDomains = (parameter: string) => ({ parentDomains: settings.parentDomainLists.has(parameter) });
  const domains = async (parameter: string, patterns: string): Promise<DomainList> =>
    keep(await DomainList.open(parameter, patterns, tables, parentDomains(parameter)));
  const maps = async (parameter: string, specs: string): Promise<Maps> =>
    keep(await openMaps(parameter, specs, tables));
  const routes = async (prefix: string, route: RouteSettings): Promise<RouteTables> => ({
    settings: route,
    senderDependentRelayhost: await maps(
      `${prefix}sender_dependent_relayhost_maps`,
      route.senderDependentRelayhostMaps,
    ),
    senderDependentDefaultTransport: await maps(
      `${prefix}sender_dependent_default_transport_maps`,
      route.senderDependentDefaultTransportMaps,
    ),
    transport: await maps(`${prefix}transport_maps`, route.transportMaps),
  });
  return {
    settings,
    localDomains: keep(
      await LocalDomains.open(
        { mydestination: settings.mydestination, ownAddresses: await ownAddresses(configuration) },
        tables,
        parentDomains('mydestination'),
      ),
    ),
    virtualAliasDomains: await domains('virtual_alias_domains', settings.virtualAliasDomains),
    virtualMailboxDomains: await domains('virtual_mailbox_domains', settings.virtualMailboxDomains),
    relayDomains: await domains('relay_domains', settings.relayDomains),
    relocated: await maps('relocated_maps', settings.relocatedMaps),
    resolve: await routes('', settings.resolve),
    verify: await routes('address_verify_', settings.verify),
    fixedDomains: holdsNamesOnly(settings),
    warn: (text) => tables.warn(text),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** No list of domains names a table or a file. */
function holdsNamesOnly(settings: TrivialRewriteSettings): boolean {
  const lists = [
    settings.mydestination,
    settings.virtualAliasDomains,
    settings.virtualMailboxDomains,
    settings.relayDomains,
  ];
  return lists.every((list) => !/[:/]/.test(list));
}
