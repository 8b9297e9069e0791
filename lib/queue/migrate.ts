/**
 * Numbered migrations: sql/NNNN_name.sql, each applied once, in order, in a transaction of its own. Processes that start
 * together wait for each other by an advisory lock.
 *
 * Throws FatalError when the database was migrated by a later Postfleet.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { FatalError } from '../util/errors.ts';

const LOCK = 0x706f7374;

/** The sql/ folder, beside lib/ in the source tree and beside dist/ in what is built. */
export function migrationDirectory(): string {
  const here = import.meta.dirname;
  const root = here.includes(`${join('dist', 'lib')}`) ? join(here, '..', '..', '..') : join(here, '..', '..');
  return join(root, 'sql');
}

/** Resolves to the names of what was applied. */
export async function migrate(pool: Pool, directory = migrationDirectory()): Promise<string[]> {
  const files = readdirSync(directory)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort();
  const client = await pool.connect();
  const applied: string[] = [];
  try {
    await client.query('select pg_advisory_lock($1)', [LOCK]);
    await client.query(
      'create table if not exists schema_migration (name text primary key, applied_at timestamptz not null default now())',
    );
    const known = new Set(
      (await client.query<{ name: string }>('select name from schema_migration')).rows.map((row) => row.name),
    );
    for (const name of known) {
      if (!files.includes(name))
        throw new FatalError(
          `the database has migration ${name}, which this version does not know: use the version that made it, or a later one`,
        );
    }
    for (const name of files) {
      if (known.has(name)) continue;
      await client.query('begin');
      await client.query(readFileSync(join(directory, name), 'utf8'));
      await client.query('insert into schema_migration (name) values ($1)', [name]);
      await client.query('commit');
      applied.push(name);
    }
    return applied;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK]).catch(() => undefined);
    client.release();
  }
}
