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
    await client.query('create temporary table incoming (key text collate "C", value text) on commit drop');
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
  /** Rows that were given, duplicates included. */
  #put = 0;
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
    this.#put += 1;
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
    const { rowCount: known } = await this.#client.query('select from lookup_row where table_id = $1 limit 1', [
      this.#table,
    ]);
    if (known === 0) await this.#addFirstRows();
    else await this.#addChanges();
    if (this.#changed > 0) await this.#publish();
    await this.#client.query('commit');
    this.#done = true;
    this.#client.release();
  }

  /**
   * A table's first rows need no comparison, and no version of their own: copies of an older version are read anew. In the
   * order of the index they fill its pages one after another.
   */
  async #addFirstRows(): Promise<void> {
    const added = await this.#client.query(
      `insert into lookup_row (table_id, key, value, version)
       select distinct on (key) $1::bigint, key, value, 0 from incoming order by key, ctid ${this.#ofTwo}`,
      [this.#table],
    );
    const count = added.rowCount ?? 0;
    if (count === 0) return;
    this.#changed += count;
    if (this.#put > count && this.#options.duplicates === 'warn') await this.#warnOfDuplicates();
    await this.#forgetDeletions();
  }

  /** Of the same key in one text the first counts, or with -r the last. Rows stand in the order in which they came. */
  get #ofTwo(): string {
    return this.#options.duplicates === 'replace' ? 'desc' : 'asc';
  }

  async #warnOfDuplicates(): Promise<void> {
    const { rows } = await this.#client.query<{ key: string }>(
      'select key from incoming group by key having count(*) > 1 order by min(ctid)',
    );
    this.#warnOf(rows);
  }

  #warnOf(rows: readonly { readonly key: string }[]): void {
    for (const { key } of rows.slice(0, MAX_NAMED_DUPLICATES)) {
      this.#options.warn(`${this.label}: duplicate entry: "${key}"`);
    }
    const more = rows.length - MAX_NAMED_DUPLICATES;
    if (more > 0) this.#options.warn(`${this.label}: ${more} more duplicate entries`);
  }

  /** What is different goes into a table of its own, by one pass over both in the order of keys, and from there into place. */
  async #addChanges(): Promise<void> {
    const { mode, duplicates } = this.#options;
    const client = this.#client;
    await client.query('analyze incoming');
    if (duplicates === 'warn') await this.#warnOfDuplicates();
    await client.query(
      `create temporary table change on commit drop as
       select key, i.value, i.key is null as is_gone, r.key is null as is_added
       from (select distinct on (key) key, value from incoming order by key, ctid ${this.#ofTwo}) i
       ${mode === 'create' ? 'full' : 'left'} join (select key, value from lookup_row where table_id = ${this.#table}) r
       using (key) where r.value is distinct from i.value`,
    );
    if (mode === 'create') await this.#deleteRows();
    if (mode === 'create' || duplicates === 'replace') await this.#updateRows();
    else if (duplicates === 'warn') await this.#warnOfKnown();
    const added = await client.query(
      `insert into lookup_row (table_id, key, value, version)
       select $1::bigint, key, value, $2::bigint from change where is_added order by key`,
      [this.#table, this.#version],
    );
    this.#changed += added.rowCount ?? 0;
    await client.query(
      'delete from lookup_deleted d using change c where d.table_id = $1 and d.key = c.key and c.is_added',
      [this.#table],
    );
  }

  /** With -i a key that is in the table already stays as it is there. */
  async #warnOfKnown(): Promise<void> {
    const { rows } = await this.#client.query<{ key: string }>(
      `select key from incoming i where exists (select from lookup_row r where r.table_id = $1 and r.key = i.key)
       group by key having count(*) = 1 order by min(ctid)`,
      [this.#table],
    );
    this.#warnOf(rows);
  }

  async #updateRows(): Promise<void> {
    const updated = await this.#client.query(
      `update lookup_row r set value = c.value, version = $2 from change c
       where r.table_id = $1 and r.key = c.key and not c.is_added and not c.is_gone`,
      [this.#table, this.#version],
    );
    this.#changed += updated.rowCount ?? 0;
  }

  /** Rows that are not in the new text go; their keys are remembered for copies of an older version. */
  async #deleteRows(): Promise<void> {
    const gone = await this.#client.query(
      `with gone as (
         delete from lookup_row r using change c where r.table_id = $1 and r.key = c.key and c.is_gone returning r.key)
       insert into lookup_deleted (table_id, key, version) select $1, key, $2 from gone
       on conflict (table_id, key) do update set version = excluded.version`,
      [this.#table, this.#version],
    );
    this.#changed += gone.rowCount ?? 0;
    if ((gone.rowCount ?? 0) > MAX_REMEMBERED_DELETIONS) await this.#forgetDeletions();
  }

  /** Copies of an older version are read anew. */
  async #forgetDeletions(): Promise<void> {
    await this.#client.query('delete from lookup_deleted where table_id = $1', [this.#table]);
    await this.#client.query('update lookup_table set deletions_from = $2 where id = $1', [this.#table, this.#version]);
  }

  async #publish(): Promise<void> {
    const oldest = this.#version - REMEMBERED_VERSIONS;
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
