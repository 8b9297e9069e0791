/**
 * Where postmap and postalias put rows: a new version of a whole table, which takes the place of the old one in one step,
 * or nothing at all. Locally that is an index file beside the source; in a fleet it is Postgres (postgres-writer.ts).
 */
import { statSync } from 'node:fs';
import { IndexBuilder } from './index-builder.ts';
import { INDEX_SUFFIX, IndexReader } from './index-file.ts';
import { lockIndex } from './index-lock.ts';
import type { MaybePromise } from './table.ts';

/** What happens to a row whose key is in the table already. */
export type DuplicatePolicy = 'warn' | 'ignore' | 'replace';

export interface TableWriter extends AsyncDisposable {
  /** How the target is called in warnings: `virtual.index`. */
  readonly label: string;
  put(key: string, value: string): MaybePromise<void>;
  /** True where the key was there. Only in a writer that was opened for changes. */
  delete(key: string): MaybePromise<boolean>;
  /** Makes the rows the content of the table. Without it, closing leaves the old content. */
  commit(): Promise<void>;
}

export interface WriterOptions {
  /** `create` begins empty, `change` with what is there. */
  readonly mode: 'create' | 'change';
  readonly duplicates: DuplicatePolicy;
  /** Mode 0644 in place of that of the source. */
  readonly defaultMode: boolean;
  /** The file stays root's even where the source is another's. */
  readonly keepPrivileges: boolean;
  warn(text: string): void;
}

/** Writes `source.index`. Rejects as open(2) does where that cannot be. */
export async function openIndexWriter(source: string, label: string, options: WriterOptions): Promise<TableWriter> {
  const path = source + INDEX_SUFFIX;
  const lock = await lockIndex(path);
  try {
    const builder = new IndexBuilder(path, rightsFor(source, options));
    const writer = new IndexWriter(builder, lock, label + INDEX_SUFFIX, options);
    if (options.mode === 'change') writer.load(path);
    return writer;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

function rightsFor(source: string, options: WriterOptions): ConstructorParameters<typeof IndexBuilder>[1] {
  const stats = statSync(source, { throwIfNoEntry: false });
  const mode = stats === undefined || options.defaultMode ? 0o644 : stats.mode & 0o666;
  const giveAway = stats !== undefined && !options.keepPrivileges && process.getuid?.() === 0 && stats.uid !== 0;
  return giveAway ? { mode, owner: { uid: stats.uid, gid: stats.gid } } : { mode };
}

class IndexWriter implements TableWriter {
  readonly label: string;
  readonly #builder: IndexBuilder;
  readonly #lock: Disposable;
  readonly #options: WriterOptions;

  constructor(builder: IndexBuilder, lock: Disposable, label: string, options: WriterOptions) {
    this.#builder = builder;
    this.#lock = lock;
    this.label = label;
    this.#options = options;
  }

  /** Takes over the rows of the present index, where there is one. */
  load(path: string): void {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return;
    const reader = new IndexReader(path);
    try {
      for (const [key, value] of reader.entries()) this.#builder.add(key, value);
    } finally {
      reader.close();
    }
  }

  put(key: string, value: string): void {
    const { duplicates, warn } = this.#options;
    const result = this.#builder.add(key, value, duplicates === 'replace');
    if (result === 'duplicate' && duplicates === 'warn') warn(`${this.label}: duplicate entry: "${key}"`);
  }

  delete(key: string): boolean {
    return this.#builder.delete(key);
  }

  commit(): Promise<void> {
    this.#builder.commit();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#builder[Symbol.dispose]();
    this.#lock[Symbol.dispose]();
    return Promise.resolve();
  }
}
