/**
 * Reads a table's rows from Postgres: all of them, or what changed since a version. A small table becomes a Map; a large one
 * an index file in a folder that the processes of a host share, so that a million rows are fetched once and cost no memory.
 */
import type { Readable } from 'node:stream';
import type { PoolClient } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { IndexBuilder } from './index-builder.ts';
import { FileCopy, type KeptCopies, MemoryCopy, Overlay, type RowCopy, type TableHead } from './kept-copies.ts';

/** Up to this number of rows a copy is kept in memory, and so are changes over an older copy. */
export const MAX_ROWS_IN_MEMORY = 20_000;

/** Undefined where the database has no such table. */
export async function readHead(client: Pick<PoolClient, 'query'>, name: string): Promise<TableHead | undefined> {
  const { rows } = await client.query<{ id: string; version: string; made_at: string; deletions_from: string }>(
    `select id, version, (extract(epoch from changed_at) * 1000000)::bigint as made_at, deletions_from
     from lookup_table where name = $1`,
    [name],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    id: Number(row.id),
    version: Number(row.version),
    madeAt: Number(row.made_at),
    deletionsFrom: Number(row.deletions_from),
  };
}

/**
 * The present rows, built upon an older copy of the same table where that is worth it. The connection must be in a
 * transaction that sees one snapshot. The older copy stays valid.
 */
export async function copyRows(
  client: PoolClient,
  head: TableHead,
  kept: KeptCopies,
  older?: RowCopy,
): Promise<RowCopy> {
  if (older !== undefined && older.version >= head.deletionsFrom) {
    const changes = await readChanges(client, head, older.version);
    if (changes !== undefined) return changed(older, head.version, changes);
  }
  return kept.find(head) ?? (await copyAll(client, head, kept));
}

/** Keys that changed, undefined values for those that are gone; undefined where there are too many. */
async function readChanges(
  client: PoolClient,
  head: TableHead,
  since: number,
): Promise<Map<string, string | undefined> | undefined> {
  const { rows } = await client.query<{ key: string; value: string | null }>(
    `(select key, value from lookup_row where table_id = $1 and version > $2 and version > 0 limit ${MAX_ROWS_IN_MEMORY + 1})
     union all
     (select key, null from lookup_deleted where table_id = $1 and version > $2 limit ${MAX_ROWS_IN_MEMORY + 1})`,
    [head.id, since],
  );
  if (rows.length > MAX_ROWS_IN_MEMORY) return undefined;
  return new Map(rows.map((row) => [row.key, row.value ?? undefined]));
}

/** The older rows with the changes; overlays do not pile up, and what is in memory needs none. */
function changed(older: RowCopy, version: number, changes: ReadonlyMap<string, string | undefined>): RowCopy {
  if (older instanceof Overlay) return new Overlay(version, older.base, new Map([...older.changes, ...changes]));
  if (older instanceof FileCopy) return new Overlay(version, older, changes);
  const rows = new Map((older as MemoryCopy).rows);
  for (const [key, value] of changes) {
    if (value === undefined) rows.delete(key);
    else rows.set(key, value);
  }
  return new MemoryCopy(version, rows);
}

/** True where so much has changed since the rows were read that they are better read anew, into a file perhaps. */
export function isWorn(copy: RowCopy): boolean {
  if (copy instanceof MemoryCopy) return copy.rows.size > 2 * MAX_ROWS_IN_MEMORY;
  return copy instanceof Overlay && copy.changes.size > MAX_ROWS_IN_MEMORY;
}

/** The rows of a table from the database, ordered by key. */
export async function* streamRows(client: PoolClient, head: TableHead): AsyncGenerator<[string, string]> {
  const rows = `select key, value from lookup_row where table_id = ${head.id} order by key`;
  yield* copiedRows(client.query(copyTo(`copy (${rows}) to stdout`)));
}

async function copyAll(client: PoolClient, head: TableHead, kept: KeptCopies): Promise<RowCopy> {
  const rows = new Map<string, string>();
  let builder: IndexBuilder | undefined;
  const stream = client.query(copyTo(`copy (select key, value from lookup_row where table_id = ${head.id}) to stdout`));
  try {
    for await (const [key, value] of copiedRows(stream)) {
      if (builder === undefined && rows.size < MAX_ROWS_IN_MEMORY) {
        rows.set(key, value);
        continue;
      }
      if (builder === undefined) {
        builder = kept.build(head);
        for (const row of rows) builder.add(...row);
        rows.clear();
      }
      builder.add(key, value);
    }
    if (builder === undefined) return new MemoryCopy(head.version, rows);
    builder.commit();
    return kept.openRows(head);
  } finally {
    builder?.[Symbol.dispose]();
  }
}

/** The lines of COPY's text format, in pieces that keep the event loop free. */
async function* copiedRows(stream: Readable): AsyncGenerator<[string, string]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = bytes.lastIndexOf(0x0a) + 1;
    rest = bytes.subarray(end);
    if (end === 0) continue;
    for (const line of bytes.toString('utf8', 0, end - 1).split('\n')) {
      const tab = line.indexOf('\t');
      yield [unescapeCopy(line.slice(0, tab)), unescapeCopy(line.slice(tab + 1))];
    }
  }
}

function unescapeCopy(text: string): string {
  if (!text.includes('\\')) return text;
  const letters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  return text.replace(/\\(.)/gs, (_, letter: string) => letters[letter] ?? letter);
}
