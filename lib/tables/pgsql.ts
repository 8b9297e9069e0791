/** `pgsql:/path.cf`: lookups in Postgres by a query of the postmaster's own (pgsql_table(5)). */
import pg from 'pg';
import { BLANK, COMMA_OR_BLANK, splitOutsideBraces } from '../util/split.ts';
import { ClientSettings } from './client-settings.ts';
import type { OpenRequest } from './open.ts';
import { doubleQuotes, openKeyFilter, readQuerySettings, type SqlHost, type SqlRows, SqlTable } from './sql-table.ts';
import { type Table, type TableContext, TRUSTED_OWNER } from './table.ts';

const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 10_000;
const QUERY_TIMEOUT_MS = 30_000;

export async function openTableType(request: OpenRequest): Promise<Table> {
  const settings = ClientSettings.read(request);
  const query = readQuerySettings(settings);
  const names = splitOutsideBraces(
    settings.text('hosts'),
    settings.text('hosts').includes('://') ? BLANK : COMMA_OR_BLANK,
  );
  const hosts = (names.length > 0 ? names : ['localhost']).map((name) => openHost(name, settings, request.context));
  const filter = await openKeyFilter(request, settings);
  return new SqlTable(request, { hosts, settings: query, filter, quote: doubleQuotes, owner: TRUSTED_OWNER });
}

function openHost(name: string, settings: ClientSettings, context: TableContext): SqlHost {
  const pool = new pg.Pool({
    ...connection(name, settings),
    max: MAX_CONNECTIONS,
    idleTimeoutMillis: settings.integer('idle_interval', 60, 1) * 1000,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    client_encoding: settings.text('encoding', 'UTF8'),
    // Quoting relies on backslashes meaning nothing inside quotes.
    options: '-c standard_conforming_strings=on',
    allowExitOnIdle: true,
  });
  pool.on('error', (error) => context.warn(`pgsql:${settings.source}: connection to ${name} lost: ${error.message}`));
  // One that breaks in the hands of a query tells that query.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    label: name.replace(/\/\/[^@/]*@/, '//'),
    async query(sql): Promise<SqlRows> {
      const result = await pool.query<(string | null)[]>({ text: sql, rowMode: 'array', types: AS_TEXT });
      return result.rows;
    },
    close: () => pool.end(),
  };
}

/** Values as Postgres writes them. */
const AS_TEXT = { getTypeParser: () => (value: string | Buffer | null) => value } as unknown as pg.CustomTypesConfig;

function connection(name: string, settings: ClientSettings): pg.PoolConfig {
  if (/^postgres(?:ql)?:\/\//.test(name)) return { connectionString: name };
  const account = {
    ...(settings.isSet('user') ? { user: settings.text('user') } : {}),
    ...(settings.isSet('password') ? { password: settings.text('password') } : {}),
    database: settings.text('dbname'),
  };
  const host = name.replace(/^(?:unix|inet):/, '');
  if (host.startsWith('/')) return { ...account, ...socketFile(host) };
  const [, address = host, port] = /^(.*?)(?::(\d+))?$/.exec(host) ?? [];
  return { ...account, host: address.replace(/^\[(.*)\]$/, '$1'), port: Number(port ?? 5432) };
}

/** The folder of the socket, or the socket itself: `/run/postgresql/.s.PGSQL.5433`. */
function socketFile(path: string): pg.PoolConfig {
  const [, folder, port] = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(path) ?? [];
  return folder === undefined ? { host: path } : { host: folder, port: Number(port) };
}
