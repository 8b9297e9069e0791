/**
 * Lookup tables of a MailServer: the sources that services read as files, and the rows in Postgres that indexed tables are.
 * Rows are written as postmap and postalias write them, so that a change of ten rows reaches every replica as ten rows.
 */
import type { Pool } from 'pg';
import { CONFIG_DIRECTORY, type Problem } from '../../lib/mailserver/check.ts';
import type { MailServerSpec } from '../../lib/mailserver/schema.ts';
import { aliasEntries } from '../../lib/tables/alias-source.ts';
import { openPostgresWriter } from '../../lib/tables/postgres-writer.ts';
import { postmapEntries } from '../../lib/tables/postmap-source.ts';
import { contentHash } from '../plan/hash.ts';

export interface TableFiles {
  readonly files: Record<string, string>;
  readonly secretFiles: Record<string, string>;
}

/** Sources that are mounted: those out of Secrets apart from the others. */
export function tableFiles(spec: MailServerSpec, texts: ReadonlyMap<string, string>): TableFiles {
  const files: Record<string, string> = {};
  const secretFiles: Record<string, string> = {};
  for (const [name, table] of Object.entries(spec.tables ?? {})) {
    if (table.format !== 'file') continue;
    (table.secret === undefined ? files : secretFiles)[name] = texts.get(name) ?? '';
  }
  return { files, secretFiles };
}

/** Name of an indexed table in Postgres: the path of the source, as services ask for it. */
const tableName = (name: string): string => `${CONFIG_DIRECTORY}/${name}`;

/** Remembers what it has written, so that a table that did not change costs nothing. */
export class TableLoader {
  readonly #loaded = new Map<string, Map<string, { hash: string; problems: Problem[] }>>();

  /**
   * Writes the tables that changed. `key` names the MailServer, `stores` its database. Resolves to what is wrong in the
   * sources; rejects as pg does.
   */
  async load(
    key: string,
    stores: string,
    pool: Pool,
    spec: MailServerSpec,
    texts: ReadonlyMap<string, string>,
  ): Promise<Problem[]> {
    const id = `${key} ${stores}`;
    const loaded = this.#loaded.get(id) ?? new Map<string, { hash: string; problems: Problem[] }>();
    this.forget(key);
    this.#loaded.set(id, loaded);
    const problems: Problem[] = [];
    const wanted = Object.entries(spec.tables ?? {}).filter(([, { format }]) => format !== 'file');
    for (const [name, { format }] of wanted) {
      const text = texts.get(name) ?? '';
      const hash = contentHash([format, text]);
      const done = loaded.get(name);
      const found = done?.hash === hash ? done.problems : await write(pool, name, format, text);
      loaded.set(name, { hash, problems: found });
      problems.push(...found);
    }
    const names = new Set(wanted.map(([name]) => name));
    for (const name of [...loaded.keys()].filter((one) => !names.has(one))) {
      await pool.query('delete from lookup_table where name = $1', [tableName(name)]);
      loaded.delete(name);
    }
    return problems;
  }

  forget(key: string): void {
    for (const id of this.#loaded.keys()) if (id.startsWith(`${key} `)) this.#loaded.delete(id);
  }
}

const MAXIMUM_PROBLEMS = 10;

async function write(
  pool: Pool,
  name: string,
  format: 'postmap' | 'aliases' | 'file',
  text: string,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const warn = (warning: string): void => {
    if (problems.length < MAXIMUM_PROBLEMS)
      problems.push({ severity: 'warning', field: `spec.tables.${name}`, text: warning });
  };
  const flags = { foldFixed: true, utf8: true, valueIsFile: false };
  const source = { file: name, directory: CONFIG_DIRECTORY, flags, warn };
  await using writer = await openPostgresWriter(pool, tableName(name), {
    mode: 'create',
    duplicates: 'warn',
    warn,
    label: name,
  });
  for (const { key, value } of format === 'aliases' ? aliasEntries(text, source) : postmapEntries(text, source)) {
    const stored = writer.put(key, value);
    if (stored !== undefined) await stored;
  }
  await writer.commit();
  return problems;
}
