/** `mysql:/path.cf`: lookups in MySQL or MariaDB (mysql_table(5)). Limit: `option_file` is not read. */
import { readFileSync } from 'node:fs';
import { createPool, type PoolOptions } from 'mysql2/promise';
import { splitOutsideBraces } from '../util/split.ts';
import { ClientSettings } from './client-settings.ts';
import { systemErrorText } from './file-value.ts';
import type { Quote } from './key-expansion.ts';
import type { OpenRequest } from './open.ts';
import { openKeyFilter, readQuerySettings, type SqlHost, type SqlRows, SqlTable } from './sql-table.ts';
import { type Table, TableOpenError, TRUSTED_OWNER } from './table.ts';

const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 10_000;
const QUERY_TIMEOUT_MS = 30_000;

export async function openTableType(request: OpenRequest): Promise<Table> {
  const settings = ClientSettings.read(request);
  const query = readQuerySettings(settings);
  if (settings.isSet('option_file')) request.context.warn(`mysql:${settings.source}: option_file is not read`);
  const names = splitOutsideBraces(settings.text('hosts', 'localhost'));
  const requireRows = settings.boolean('require_result_set', true);
  const hosts = names.map((name) => openHost(name, settings, requireRows));
  const filter = await openKeyFilter(request, settings);
  return new SqlTable(request, { hosts, settings: query, filter, quote: escapeForMysql, owner: TRUSTED_OWNER });
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '\\0',
  '\n': '\\n',
  '\r': '\\r',
  '\x1a': '\\Z',
  '"': '\\"',
  "'": "\\'",
  '\\': '\\\\',
};

/** Safe in quotes of both kinds, with the SQL mode that openHost sets. */
const escapeForMysql: Quote = (value) => value.replace(/[\0\n\r\x1a"'\\]/g, (character) => ESCAPES[character]!);

function openHost(name: string, settings: ClientSettings, requireRows: boolean): SqlHost {
  const pool = createPool({
    ...address(name),
    user: settings.text('user'),
    password: settings.text('password'),
    database: settings.text('dbname'),
    charset: settings.text('charset', 'utf8mb4'),
    ...secure(settings),
    connectionLimit: MAX_CONNECTIONS,
    idleTimeout: settings.integer('idle_interval', 60, 1) * 1000,
    connectTimeout: CONNECT_TIMEOUT_MS,
    rowsAsArray: true,
    // Values as the server writes them.
    typeCast: (field) => field.string('utf8'),
  });
  pool.on('connection', (connection) => {
    // With this mode a backslash would be an ordinary character and the quoting above no protection.
    connection.query("SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')");
  });
  return {
    label: name,
    async query(sql): Promise<SqlRows> {
      const [result] = await pool.query({ sql, timeout: QUERY_TIMEOUT_MS });
      return rowsOf(result, requireRows);
    },
    close: () => pool.end(),
  };
}

/** A stored procedure answers with its result sets and a status; the first set counts. */
function rowsOf(result: unknown, requireRows: boolean): SqlRows {
  if (!Array.isArray(result)) {
    if (requireRows) throw new Error('the query gives no result set');
    return [];
  }
  const nested = Array.isArray(result[0]) && (result[0].length === 0 || Array.isArray(result[0][0]));
  return (nested ? result[0] : result) as SqlRows;
}

function address(name: string): PoolOptions {
  const host = name.replace(/^inet:/, '');
  if (host.startsWith('unix:')) return { socketPath: host.slice(5) };
  const [, text = host, port] = /^(.*?)(?::(\d+))?$/.exec(host) ?? [];
  return { host: text.replace(/^\[(.*)\]$/, '$1'), port: Number(port ?? 3306) };
}

function secure(settings: ClientSettings): PoolOptions {
  const files = { cert: 'tls_cert_file', key: 'tls_key_file', ca: 'tls_CAfile' };
  const ssl: Record<string, unknown> = {};
  for (const [option, parameter] of Object.entries(files)) {
    const path = settings.text(parameter);
    if (path !== '') ssl[option] = readPem(path);
  }
  if (settings.isSet('tls_ciphers')) ssl.ciphers = settings.text('tls_ciphers');
  if (Object.keys(ssl).length === 0) return {};
  return { ssl: { ...ssl, rejectUnauthorized: settings.boolean('tls_verify_cert', false) } };
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new TableOpenError(`open ${path}: ${systemErrorText(error)}`);
  }
}
