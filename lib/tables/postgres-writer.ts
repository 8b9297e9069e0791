/**
 * Puts rows of a table into Postgres for postmap, postalias and the operator (sql/0100_lookup_tables.sql): they are copied
 * into a temporary table, compared with what is there, and become one new version in one transaction. Rows that stay the
 * same are not touched, so the copies that processes keep follow at the cost of what changed.
 */
import { once } from 'node:events';
import type { Pool, PoolClient } from 'pg';
import { type CopyStreamQuery, from as copyFrom } from 'pg-copy-streams';
import { TableOpenError } from './table.ts';
import type { TableWriter, WriterOptions } from './table-writer.ts';

/** Duplicates beyond this number are counted, not named. */
const MAX_NAMED_DUPLICATES = 1000;
/** With more deletions than this in one version, copies are read anew. */
const MAX_REMEMBERED_DELETIONS = 50_000;
/** How many versions back deletions are remembered. */
const REMEMBERED_VERSIONS = 100;
const CHUNK = 64 * 1024;

export interface PostgresWriterOptions extends Pick<WriterOptions, 'mode' | 'duplicates' | 'warn'> {
  /** Called in warnings. */
  readonly label: string;
}

/** Begins a new version; other writers of the same table wait until it is committed or closed. Rejects as pg does. */
export async function openPostgresWriter(
  pool: Pool,
  name: string,
  options: PostgresWriterOptions,
): Promise<TableWriter> {
  const client = await pool.connect();
  try {
    await client.query("begin; set local postfleet.bulk = 'on'; set local work_mem = '64MB'");
    await client.query(
      'create temporary table incoming (ordinal bigint generated always as identity, key text collate "C", value text) on commit drop',
    );
    await client.query('select lookup_table_id($1)', [name]);
    const found = await client.query<{ id: string; version: string }>(
      'select id, version from lookup_table where name = $1 for update',
      [name],
    );
    const { id, version } = found.rows[0]!;
    return new PostgresWriter(client, Number(id), Number(version) + 1, options);
  } catch (error) {
    client.release(error as Error);
    throw error;
  }
}

class PostgresWriter implements TableWriter {
  readonly label: string;
  readonly #client: PoolClient;
  readonly #table: number;
  readonly #version: number;
  readonly #options: PostgresWriterOptions;
  #copy: CopyStreamQuery | undefined;
  #copyError: Error | undefined;
  #chunk = '';
  #changed = 0;
  #done = false;

  constructor(client: PoolClient, table: number, version: number, options: PostgresWriterOptions) {
    this.label = options.label;
    this.#client = client;
    this.#table = table;
    this.#version = version;
    this.#options = options;
  }

  put(key: string, value: string): void | Promise<void> {
    this.#chunk += `${escapeCopy(key)}\t${escapeCopy(value)}\n`;
    if (this.#chunk.length >= CHUNK) return this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#copyError !== undefined) throw this.#copyError;
    if (this.#copy === undefined) {
      this.#copy = this.#client.query(copyFrom('copy incoming (key, value) from stdin'));
      this.#copy.on('error', (error) => {
        this.#copyError = error;
      });
    }
    const chunk = this.#chunk;
    this.#chunk = '';
    if (!this.#copy.write(chunk)) await drained(this.#copy);
  }

  async #endCopy(): Promise<void> {
    if (this.#chunk !== '') await this.#flush();
    const copy = this.#copy;
    if (copy === undefined) return;
    this.#copy = undefined;
    if (this.#copyError !== undefined) throw this.#copyError;
    copy.end();
    await once(copy, 'finish');
  }

  async delete(key: string): Promise<boolean> {
    await this.#endCopy();
    const gone = await this.#client.query(
      `with gone as (delete from lookup_row where table_id = $1 and key = $2 returning key)
       insert into lookup_deleted (table_id, key, version) select $1, key, $3 from gone
       on conflict (table_id, key) do update set version = excluded.version`,
      [this.#table, key, this.#version],
    );
    this.#changed += gone.rowCount ?? 0;
    return (gone.rowCount ?? 0) > 0;
  }

  async commit(): Promise<void> {
    await this.#endCopy();
    await this.#client.query('analyze incoming');
    await this.#settleDuplicates();
    // A table's first rows need no comparison.
    const { rowCount: known } = await this.#client.query('select from lookup_row where table_id = $1 limit 1', [
      this.#table,
    ]);
    if (known !== 0) await this.#compare();
    // In the order of the index, rows fill its pages one after another.
    const isNew =
      known === 0 ? 'true' : 'not exists (select from lookup_row r where r.table_id = $1 and r.key = i.key)';
    const added = await this.#client.query(
      `insert into lookup_row (table_id, key, value, version)
       select $1::bigint, key, value, $2::bigint from incoming i where ${isNew} order by key`,
      [this.#table, this.#version],
    );
    this.#changed += added.rowCount ?? 0;
    if (this.#changed > 0) await this.#publish();
    await this.#client.query('commit');
    this.#done = true;
    this.#client.release();
  }

  /** Of the same key in one text the first counts, or with -r the last; the others are reported and go. */
  async #settleDuplicates(): Promise<void> {
    const { duplicates } = this.#options;
    const keep = duplicates === 'replace' ? 'max' : 'min';
    const { rows } = await this.#client.query<{ key: string }>(
      `with twice as (select key, ${keep}(ordinal) as keep from incoming group by key having count(*) > 1)
       delete from incoming i using twice t where i.key = t.key and i.ordinal <> t.keep returning i.key`,
    );
    if (duplicates === 'warn') this.#warnOf(new Set(rows.map(({ key }) => key)));
  }

  #warnOf(keys: ReadonlySet<string>): void {
    for (const key of [...keys].slice(0, MAX_NAMED_DUPLICATES)) {
      this.#options.warn(`${this.label}: duplicate entry: "${key}"`);
    }
    const more = keys.size - MAX_NAMED_DUPLICATES;
    if (more > 0) this.#options.warn(`${this.label}: ${more} more duplicate entries`);
  }

  async #compare(): Promise<void> {
    const { mode, duplicates } = this.#options;
    if (mode === 'create') await this.#deleteOthers();
    if (mode === 'change' && duplicates !== 'replace') {
      if (duplicates === 'ignore') return;
      const { rows } = await this.#client.query<{ key: string }>(
        'select key from incoming i where exists (select from lookup_row r where r.table_id = $1 and r.key = i.key)',
        [this.#table],
      );
      this.#warnOf(new Set(rows.map(({ key }) => key)));
      return;
    }
    const updated = await this.#client.query(
      `update lookup_row r set value = i.value, version = $2 from incoming i
       where r.table_id = $1 and r.key = i.key and r.value <> i.value`,
      [this.#table, this.#version],
    );
    this.#changed += updated.rowCount ?? 0;
  }

  /** Rows that are not in the new text go; their keys are remembered for copies of an older version. */
  async #deleteOthers(): Promise<void> {
    const gone = await this.#client.query(
      `with gone as (
         delete from lookup_row r where table_id = $1 and not exists (select from incoming i where i.key = r.key) returning key)
       insert into lookup_deleted (table_id, key, version) select $1, key, $2 from gone
       on conflict (table_id, key) do update set version = excluded.version`,
      [this.#table, this.#version],
    );
    this.#changed += gone.rowCount ?? 0;
    if ((gone.rowCount ?? 0) > MAX_REMEMBERED_DELETIONS) {
      await this.#client.query('delete from lookup_deleted where table_id = $1', [this.#table]);
      await this.#client.query('update lookup_table set deletions_from = $2 where id = $1', [
        this.#table,
        this.#version,
      ]);
    }
  }

  async #publish(): Promise<void> {
    const oldest = this.#version - REMEMBERED_VERSIONS;
    await this.#client.query('delete from lookup_deleted d using incoming i where d.table_id = $1 and d.key = i.key', [
      this.#table,
    ]);
    await this.#client.query('delete from lookup_deleted where table_id = $1 and version <= $2', [this.#table, oldest]);
    await this.#client.query(
      'update lookup_table set version = $2, changed_at = now(), deletions_from = greatest(deletions_from, $3) where id = $1',
      [this.#table, this.#version, oldest],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    // Ending the connection rolls back, also in the middle of a copy.
    this.#copy?.destroy();
    this.#client.release(true);
  }
}

/** Waits until the stream takes more, or is closed by an error, which the next write reports. */
async function drained(stream: CopyStreamQuery): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  try {
    await Promise.race([once(stream, 'drain', { signal }), once(stream, 'close', { signal })]);
  } finally {
    waiting.abort();
  }
}

/** A value of COPY's text format. Postgres has no place for a null character or for bytes that are not UTF-8. */
function escapeCopy(text: string): string {
  if (!text.isWellFormed() || text.includes('\0')) {
    throw new TableOpenError(`"${text.toWellFormed()}": the database takes UTF-8 text only`);
  }
  return /[\\\t\n\r]/.test(text)
    ? text.replace(/[\\\t\n\r]/g, (character) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n' })[character] ?? '\\r')
    : text;
}
