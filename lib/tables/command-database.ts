/** The fleet's database as postmap and postalias use it: a few queries, then the end. */
import pg, { type Pool } from 'pg';
import { migrate } from '../queue/migrate.ts';
import { FatalError } from '../util/errors.ts';
import { PostgresRows } from './postgres-rows.ts';
import type { IndexedRows } from './table.ts';

export interface CommandDatabase {
  readonly pool: Pool;
  readonly rows: IndexedRows;
  /** Makes the tables where they are missing. Rejects with FatalError where the database cannot be reached. */
  prepare(): Promise<void>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** Undefined where no database is configured. */
export function openCommandDatabase(url: string, options: { warn(text: string): void }): CommandDatabase | undefined {
  if (url === '') return undefined;
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // An idle connection that breaks is opened anew by the next query.
  pool.on('error', () => undefined);
  return {
    pool,
    rows: new PostgresRows({ pool, connectionString: url, copies: false, ...options }),
    async prepare() {
      try {
        await migrate(pool);
      } catch (error) {
        if (error instanceof FatalError) throw error;
        throw new FatalError(`postfleet_postgres_url: ${(error as Error).message}`);
      }
    },
    close: () => pool.end(),
  };
}
