/**
 * Lookup tables of a MailServer: the sources that services read as files, and the rows in Postgres that indexed tables are.
 * Rows are written as postmap and postalias write them, so that a change of ten rows reaches every replica as ten rows.
 * What was loaded is written down beside them in a table of the operator's own, so that it goes where they go: an operator
 * that starts again rewrites nothing, and removes what went from the spec while it was down.
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

interface Loaded {
  readonly hash: string;
  readonly problems: Problem[];
}

const MAKE_SOURCES =
  'create table if not exists operator_lookup_source (name text primary key, hash text not null, problems jsonb not null)';

/** What was loaded into a database, by the name of the table in the spec; one whose rows are gone has no hash. */
async function readSources(pool: Pool): Promise<Map<string, Loaded>> {
  await pool.query(MAKE_SOURCES);
  const { rows } = await pool.query<Loaded & { name: string }>(
    `select s.name, case when t.id is null then '' else s.hash end as hash, s.problems
     from operator_lookup_source s left join lookup_table t on t.name = $1 || s.name`,
    [tableName('')],
  );
  return new Map(rows.map(({ name, hash, problems }) => [name, { hash, problems }]));
}

async function writeSource(pool: Pool, name: string, { hash, problems }: Loaded): Promise<void> {
  await pool.query(
    `insert into operator_lookup_source (name, hash, problems) values ($1, $2, $3)
     on conflict (name) do update set hash = excluded.hash, problems = excluded.problems`,
    [name, hash, JSON.stringify(problems)],
  );
}

/** Takes away what the operator has put beside the rows. */
export async function removeSources(pool: Pool): Promise<void> {
  await pool.query('drop table if exists operator_lookup_source');
}

/** Remembers what is written, so that a table that did not change costs nothing. */
export class TableLoader {
  readonly #loaded = new Map<string, Map<string, Loaded>>();

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
    const loaded = this.#loaded.get(id) ?? (await readSources(pool));
    this.forget(key);
    this.#loaded.set(id, loaded);
    const problems: Problem[] = [];
    const wanted = Object.entries(spec.tables ?? {}).filter(([, { format }]) => format !== 'file');
    for (const [name, { format }] of wanted) {
      const text = texts.get(name) ?? '';
      const hash = contentHash([format, text]);
      const known = loaded.get(name);
      const done = known?.hash === hash ? known : await load(pool, name, format, text);
      loaded.set(name, done);
      problems.push(...done.problems);
    }
    const names = new Set(wanted.map(([name]) => name));
    for (const name of [...loaded.keys()].filter((one) => !names.has(one))) {
      await pool.query('delete from lookup_table where name = $1', [tableName(name)]);
      await pool.query('delete from operator_lookup_source where name = $1', [name]);
      loaded.delete(name);
    }
    return problems;
  }

  forget(key: string): void {
    for (const id of this.#loaded.keys()) if (id.startsWith(`${key} `)) this.#loaded.delete(id);
  }
}

const MAXIMUM_PROBLEMS = 10;

/** It is written down first that the table is there, so that none is left behind, and last what it holds. */
async function load(pool: Pool, name: string, format: 'postmap' | 'aliases' | 'file', text: string): Promise<Loaded> {
  await writeSource(pool, name, { hash: '', problems: [] });
  const loaded = { hash: contentHash([format, text]), problems: await write(pool, name, format, text) };
  await writeSource(pool, name, loaded);
  return loaded;
}

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
