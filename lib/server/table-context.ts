/** What lookup tables need of the service that opens them, made from the service's context. */
import { exportedEnvironment } from '../config/environment.ts';
import { PostgresRows } from '../tables/postgres-rows.ts';
import type { IndexedRows, TableContext } from '../tables/table.ts';
import type { ServiceContext } from './context.ts';
import { proxyLookup } from './proxy-lookup.ts';
import type { Stores } from './stores.ts';

/** The services of a process follow the tables of the fleet together, as they share its stores. */
const shared = new WeakMap<Stores, PostgresRows>();

/** `proxy:` tables are asked for at proxymap where master.cf has it, and opened by the service itself where it has not. */
export function tableContext(context: ServiceContext): TableContext {
  const { clients, configuration, log } = context;
  const name = configuration.text('proxymap_service_name');
  const exists = configuration.master.some((entry) => entry.command === 'proxymap' && entry.name === name);
  const own = ownTableContext(context);
  if (!exists) return own;
  return {
    ...own,
    proxy: proxyLookup({ service: name, proxymap: clients.proxymap(name), warn: (text) => log.warning(text) }),
  };
}

/** The same for a service that opens all of its tables itself. */
export function ownTableContext(context: ServiceContext): TableContext {
  const { configuration, log, signal } = context;
  return {
    directory: configuration.directory,
    warn: (text) => log.warning(text),
    error: (text) => log.error(text),
    signal,
    parameter: (name) => (configuration.set(name) ? configuration.text(name) : undefined),
    environment: exportedEnvironment(configuration.list('import_environment', { stripBraces: true })),
    ...databaseOf(context),
  };
}

/** Indexed tables are in the fleet's database where there is one. */
function databaseOf(context: ServiceContext): { database?: IndexedRows } {
  const connectionString = context.configuration.text('postfleet_postgres_url');
  if (connectionString === '') return {};
  let rows = shared.get(context.stores);
  if (rows === undefined) {
    rows = new PostgresRows({ connectionString, warn: (text) => context.log.warning(text) });
    shared.set(context.stores, rows);
  }
  return { database: rows };
}
