/**
 * Takes out of a database what the migrations have put there, and nothing else: tables, with the views on them, and
 * functions, by the names that sql/ gives them. All mail and all rows of lookup tables are gone then.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pool } from 'pg';
import { migrationDirectory } from './migrate.ts';

/** Names of what a kind of statement makes. */
function made(text: string, kind: 'table' | 'function'): string[] {
  return [...text.matchAll(new RegExp(`^create ${kind} (?:if not exists )?([a-z_]+)`, 'gm'))].map(([, name]) => name!);
}

/** Rejects as pg does; then nothing is removed. */
export async function removeSchema(pool: Pool, directory = migrationDirectory()): Promise<void> {
  const text = readdirSync(directory)
    .filter((name) => name.endsWith('.sql'))
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('\n');
  const tables = ['schema_migration', ...made(text, 'table')];
  // Statements of one query are one transaction.
  await pool.query(
    [
      `drop table if exists ${tables.join(', ')} cascade`,
      ...made(text, 'function').map((name) => `drop function if exists ${name} cascade`),
    ].join(';\n'),
  );
}
