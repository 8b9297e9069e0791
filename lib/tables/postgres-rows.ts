/**
 * The indexed tables of a fleet, for one process: opens them from Postgres and keeps them current. One connection listens
 * for the names of tables that change; every few seconds, and whenever it had to be opened anew, versions are compared, so
 * that a lost announcement is made up for.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg, { type Pool } from 'pg';
import { type CopyStore, defaultCopyFolder } from './kept-copies.ts';
import { PostgresTable } from './postgres-table.ts';
import type { IndexedRows, ResolvedFlags, Table, TableContext } from './table.ts';

const CHECK_MS = 5000;
const RETRY_MS = 500;
const CONNECT_TIMEOUT_MS = 5000;
const QUERY_TIMEOUT_MS = 10_000;

export interface PostgresRowsOptions {
  readonly connectionString: string;
  /** For queries; one of its own where absent. */
  readonly pool?: Pool;
  warn(text: string): void;
  /** Folder for copies of large tables; default: one in the temporary folder. */
  readonly folder?: string;
  /** False for a command: no copies, nothing is followed. */
  readonly copies?: boolean;
}

export class PostgresRows implements IndexedRows {
  readonly #options: PostgresRowsOptions;
  readonly #pool: Pool;
  readonly #store: CopyStore;
  readonly #tables = new Set<PostgresTable>();
  /** Ends the listening that goes on while tables are open. */
  #following: AbortController | undefined;

  constructor(options: PostgresRowsOptions) {
    this.#options = options;
    this.#pool = options.pool ?? ownPool(options.connectionString);
    this.#store = { database: withoutAccount(options.connectionString), folder: options.folder ?? defaultCopyFolder() };
  }

  /** The table of that path; where the database has none, what `openLocal` opens answers until it has. */
  async open(
    type: string,
    path: string,
    context: TableContext,
    flags: ResolvedFlags,
    openLocal: () => Promise<Table>,
  ): Promise<Table> {
    const copies = this.#options.copies ?? true;
    const table = new PostgresTable({
      pool: this.#pool,
      store: this.#store,
      type,
      path,
      context,
      flags,
      copies,
      openLocal,
      onClose: (closed) => this.#forget(closed),
    });
    await table.start();
    if (!copies || context.signal.aborted) return table;
    this.#tables.add(table);
    // A service that ends without closing its tables must not keep the connection open.
    context.signal.addEventListener('abort', () => this.#forget(table), { once: true });
    if (this.#following === undefined) {
      this.#following = new AbortController();
      void this.#follow(this.#following.signal);
    }
    return table;
  }

  #forget(table: PostgresTable): void {
    this.#tables.delete(table);
    if (this.#tables.size > 0) return;
    this.#following?.abort();
    this.#following = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { warn } = this.#options;
    let complained = false;
    while (!signal.aborted) {
      try {
        await this.#listen(signal, () => {
          if (complained) warn('lookup tables: the database is back');
          complained = false;
        });
      } catch (error) {
        if (signal.aborted) return;
        // One line for each time that it goes away.
        if (!complained)
          warn(`lookup tables: lost the database, the present copies stay in use: ${(error as Error).message}`);
        complained = true;
      }
      // An aborted pause ends the loop by its condition.
      await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Listens until the connection breaks or the process ends. */
  async #listen(signal: AbortSignal, connected: () => void): Promise<void> {
    const { connectionString } = this.#options;
    const client = new pg.Client({
      connectionString,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'postfleet tables',
    });
    const { promise: lost, reject } = Promise.withResolvers<never>();
    lost.catch(() => undefined);
    client.on('error', reject);
    client.on('end', () => reject(new Error('connection closed')));
    const stop = (): void => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    try {
      await client.connect();
      client.on('notification', ({ payload }) => this.#announce(payload ?? ''));
      await client.query('listen lookup_table');
      connected();
      for (;;) {
        await Promise.race([this.#compareVersions(client), lost]);
        await Promise.race([delay(CHECK_MS, undefined, { signal, ref: false }), lost]);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      // It may be broken already.
      await client.end().catch(() => undefined);
    }
  }

  #announce(path: string): void {
    for (const table of this.#tables) if (table.path === path) void table.changed();
  }

  async #compareVersions(client: pg.Client): Promise<void> {
    const paths = [...new Set(Array.from(this.#tables, (table) => table.path))];
    const { rows } = await client.query<{ name: string; version: string }>(
      'select name, version from lookup_table where name = any($1::text[])',
      [paths],
    );
    const versions = new Map(rows.map(({ name, version }) => [name, Number(version)]));
    for (const table of this.#tables) {
      if (!table.isSettled || table.version !== versions.get(table.path)) void table.changed();
    }
  }
}

/** The same database under another password is the same. */
function withoutAccount(connectionString: string): string {
  return connectionString.replace(/\/\/[^@/]*@/, '//');
}

/** Small, because a lookup needs a connection only while a copy is being made. */
function ownPool(connectionString: string): Pool {
  const pool = new pg.Pool({
    connectionString,
    max: 4,
    allowExitOnIdle: true,
    application_name: 'postfleet tables',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  // An idle connection that breaks is opened anew by the next query; one that is in use fails the next statement.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
