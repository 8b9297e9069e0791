/**
 * Reads a table's rows from Postgres: all of them, or what changed since a version. A small table becomes a Map; a large one
 * an index file in a folder that the processes of a host share, so that a million rows are fetched once and cost no memory.
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { PoolClient } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { IndexBuilder } from './index-builder.ts';
import { INDEX_SUFFIX, IndexReader } from './index-file.ts';

/** Rows of one version of a table. */
export interface RowCopy {
  readonly version: number;
  get(key: string): string | undefined;
  close?(): void;
}

/** Up to this number of rows a copy is kept in memory, and so are changes over an older copy. */
export const MAX_ROWS_IN_MEMORY = 20_000;

/** What a table's head says. */
export interface TableHead {
  readonly id: number;
  readonly version: number;
  readonly deletionsFrom: number;
}

export interface CopyStore {
  /** Tells the copies of one database from those of another. */
  readonly database: string;
  /** Folder for index files; made with mode 0700. */
  readonly folder: string;
}

export function defaultCopyFolder(): string {
  return join(tmpdir(), `postfleet-tables-${process.getuid?.() ?? 0}`);
}

/** Undefined where the database has no such table. */
export async function readHead(client: Pick<PoolClient, 'query'>, name: string): Promise<TableHead | undefined> {
  const { rows } = await client.query<{ id: string; version: string; deletions_from: string }>(
    'select id, version, deletions_from from lookup_table where name = $1',
    [name],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  return { id: Number(row.id), version: Number(row.version), deletionsFrom: Number(row.deletions_from) };
}

/**
 * The present rows, built upon an older copy of the same table where that is worth it. The connection must be in a
 * transaction that sees one snapshot. The older copy stays valid.
 */
export async function copyRows(
  client: PoolClient,
  head: TableHead,
  store: CopyStore,
  older?: RowCopy,
): Promise<RowCopy> {
  if (older !== undefined && older.version >= head.deletionsFrom) {
    const changes = await readChanges(client, head, older.version);
    if (changes !== undefined) return overlay(older, head.version, changes);
  }
  const path = indexPath(store, head);
  if (existsSync(path)) return fileCopy(path, head.version);
  return await copyAll(client, head, store, path);
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

class Overlay implements RowCopy {
  readonly version: number;
  readonly base: RowCopy;
  readonly changes: Map<string, string | undefined>;

  constructor(version: number, base: RowCopy, changes: Map<string, string | undefined>) {
    this.version = version;
    this.base = base;
    this.changes = changes;
  }

  get(key: string): string | undefined {
    const changed = this.changes.get(key);
    return changed !== undefined || this.changes.has(key) ? changed : this.base.get(key);
  }

  close(): void {
    this.base.close?.();
  }
}

/** The older rows under the changes; overlays do not pile up. */
function overlay(older: RowCopy, version: number, changes: Map<string, string | undefined>): RowCopy {
  if (!(older instanceof Overlay)) return new Overlay(version, older, changes);
  return new Overlay(version, older.base, new Map([...older.changes, ...changes]));
}

/** True where so much has changed since the rows were read that they are better read anew. */
export function isWorn(copy: RowCopy): boolean {
  return copy instanceof Overlay && copy.changes.size > MAX_ROWS_IN_MEMORY;
}

/** The rows of a table from the database, ordered by key. */
export async function* streamRows(client: PoolClient, head: TableHead): AsyncGenerator<[string, string]> {
  const rows = `select key, value from lookup_row where table_id = ${head.id} order by key`;
  yield* copiedRows(client.query(copyTo(`copy (${rows}) to stdout`)));
}

async function copyAll(client: PoolClient, head: TableHead, store: CopyStore, path: string): Promise<RowCopy> {
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
        ensureFolder(store.folder);
        builder = new IndexBuilder(path, { mode: 0o600 });
        for (const row of rows) builder.add(...row);
        rows.clear();
      }
      builder.add(key, value);
    }
    if (builder === undefined) return { version: head.version, get: (key) => rows.get(key) };
    builder.commit(BigInt(head.version));
    removeOthers(store, head);
    return fileCopy(path, head.version);
  } finally {
    builder?.[Symbol.dispose]();
  }
}

function fileCopy(path: string, version: number): RowCopy {
  const reader = new IndexReader(path);
  return { version, get: (key) => reader.get(key), close: () => reader.close() };
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

function fileStem(store: CopyStore, head: TableHead): string {
  return createHash('sha256').update(`${store.database}\n${head.id}`).digest('hex').slice(0, 32);
}

function indexPath(store: CopyStore, head: TableHead): string {
  return join(store.folder, `${fileStem(store, head)}-${head.version}${INDEX_SUFFIX}`);
}

/** Files of older versions; a process that has one open goes on reading it. */
function removeOthers(store: CopyStore, head: TableHead): void {
  const stem = `${fileStem(store, head)}-`;
  for (const name of readdirSync(store.folder)) {
    const version = Number(name.slice(stem.length, -INDEX_SUFFIX.length));
    if (!name.startsWith(stem) || !name.endsWith(INDEX_SUFFIX) || !(version < head.version)) continue;
    try {
      unlinkSync(join(store.folder, name));
    } catch (error) {
      // Another process was quicker.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** In a folder that others can write to, somebody else's folder of that name would decide what mail goes where. */
function ensureFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stats = lstatSync(folder);
  if (
    !stats.isDirectory() ||
    (process.getuid !== undefined && stats.uid !== process.getuid()) ||
    (stats.mode & 0o022) !== 0
  ) {
    throw new Error(`${folder}: not a folder of this user alone`);
  }
}
