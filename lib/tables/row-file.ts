/**
 * Rows of fixed strings from a file that may change: an index that postmap made, or a source that is read as it is.
 */
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { decodeBytes } from '../util/byte-text.ts';
import { aliasEntries, looksLikeAliases } from './alias-source.ts';
import { systemErrorText } from './file-value.ts';
import { FixedTable } from './fixed-table.ts';
import { INDEX_SUFFIX, IndexReader } from './index-file.ts';
import type { OpenRequest } from './open.ts';
import { collectEntries, postmapEntries } from './postmap-source.ts';
import { ReloadingFile } from './reloading.ts';
import {
  type LookupResult,
  type MaybePromise,
  ownerFromUserId,
  type Table,
  TableOpenError,
  type TableOwner,
} from './table.ts';

/** Rows as a Map or an IndexReader has them. */
interface Rows {
  get(key: string): string | undefined;
  entries(): Iterable<readonly [string, string]>;
  close?(): void;
}

class RowFileTable extends FixedTable {
  readonly #file: ReloadingFile<Rows>;

  constructor(request: OpenRequest, owner: TableOwner, file: ReloadingFile<Rows>) {
    super(request.type, request.name, owner, request.context, request.flags);
    this.#file = file;
  }

  protected find(key: string): MaybePromise<LookupResult> {
    const rows = this.#file.current();
    return rows instanceof Promise ? rows.then((read) => read.get(key)) : rows.get(key);
  }

  entries(): Iterable<readonly [string, string]> {
    return this.#file.last.entries();
  }

  override close(): Promise<void> {
    this.#file.last.close?.();
    return Promise.resolve();
  }
}

/** A table straight from its source. Throws TableOpenError. */
export async function openSourceTable(request: OpenRequest): Promise<Table> {
  return await openRows(request, [sourcePath(request)], `open database ${request.name}`);
}

/** A table from its index, or from its source where nobody has run postmap. Throws TableOpenError. */
export async function openIndexedTable(request: OpenRequest): Promise<Table> {
  const source = sourcePath(request);
  return await openRows(request, [source + INDEX_SUFFIX, source], `open database ${request.name}${INDEX_SUFFIX}`);
}

function sourcePath(request: OpenRequest): string {
  return resolve(request.context.directory, request.name);
}

async function openRows(request: OpenRequest, paths: readonly string[], what: string): Promise<Table> {
  const warn = (text: string): void => request.context.warn(text);
  try {
    const file = await ReloadingFile.open<Rows>({
      paths,
      load: (path) => (path.endsWith(INDEX_SUFFIX) ? openIndex(path, warn) : readSource(path, request)),
      release: (rows) => rows.close?.(),
      warn,
    });
    return new RowFileTable(request, ownerOf(paths), file);
  } catch (error) {
    throw new TableOpenError(`${what}: ${systemErrorText(error)}`);
  }
}

/** The owner of the first of the files that exists. */
function ownerOf(paths: readonly string[]): TableOwner {
  const stats = paths.map((path) => statSync(path, { throwIfNoEntry: false })).find((found) => found !== undefined);
  return ownerFromUserId(stats?.uid ?? -1);
}

function openIndex(path: string, warn: (text: string) => void): Rows {
  const source = path.slice(0, -INDEX_SUFFIX.length);
  const sourceStats = statSync(source, { throwIfNoEntry: false });
  if (sourceStats !== undefined && sourceStats.mtimeMs > statSync(path).mtimeMs) {
    warn(`database ${path} is older than source file ${source}`);
  }
  return new IndexReader(path);
}

async function readSource(path: string, request: OpenRequest): Promise<Rows> {
  const { context, flags, name } = request;
  const options = { file: name, directory: context.directory, flags, warn: (text: string) => context.warn(text) };
  const text = decodeBytes(await readFile(path));
  const isAliases = request.type !== 'texthash' && looksLikeAliases(text);
  return collectEntries((isAliases ? aliasEntries : postmapEntries)(text, options), options);
}
