/**
 * The copies of a fleet's tables that a host keeps on disk, for all of its processes: of a large table the rows, in an index
 * file that is read in place, with what changed since in another; of a small one all rows, for whoever starts while the
 * database is away. A name tells the database, the table, its id there, the version and when that was made; a marker tells
 * that the database has no such table.
 *
 * Files come by rename(2), so none is ever half written. Those of older versions are removed; who has one open reads on.
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IndexBuilder } from './index-builder.ts';
import { INDEX_SUFFIX, IndexReader } from './index-file.ts';

/** What a table's head says. */
export interface TableHead {
  readonly id: number;
  readonly version: number;
  /** When the version was made, in microseconds since 1970: a database that was made anew counts from 1 again. */
  readonly madeAt: number;
  readonly deletionsFrom: number;
}

/** What tells one version from all others. */
type Edition = Pick<TableHead, 'id' | 'version' | 'madeAt'>;

/** Rows of one version of a table. */
export interface RowCopy {
  readonly version: number;
  get(key: string): string | undefined;
  close?(): void;
}

export class MemoryCopy implements RowCopy {
  readonly version: number;
  readonly rows: ReadonlyMap<string, string>;

  constructor(version: number, rows: ReadonlyMap<string, string>) {
    this.version = version;
    this.rows = rows;
  }

  get(key: string): string | undefined {
    return this.rows.get(key);
  }
}

export class FileCopy implements RowCopy {
  readonly edition: Edition;
  readonly #reader: IndexReader;

  constructor(edition: Edition, path: string) {
    this.edition = edition;
    this.#reader = new IndexReader(path);
  }

  get version(): number {
    return this.edition.version;
  }

  get(key: string): string | undefined {
    return this.#reader.get(key);
  }

  close(): void {
    this.#reader.close();
  }
}

/** Changes over rows in a file; an undefined value is a row that is gone. */
export class Overlay implements RowCopy {
  readonly version: number;
  readonly base: FileCopy;
  readonly changes: ReadonlyMap<string, string | undefined>;

  constructor(version: number, base: FileCopy, changes: ReadonlyMap<string, string | undefined>) {
    this.version = version;
    this.base = base;
    this.changes = changes;
  }

  get(key: string): string | undefined {
    const changed = this.changes.get(key);
    return changed !== undefined || this.changes.has(key) ? changed : this.base.get(key);
  }

  close(): void {
    this.base.close();
  }
}

export interface CopyStore {
  /** Tells the copies of one database from those of another. */
  readonly database: string;
  /** Folder for the files; made with mode 0700. */
  readonly folder: string;
}

export function defaultCopyFolder(): string {
  return join(tmpdir(), `postfleet-tables-${process.getuid?.() ?? 0}`);
}

/** A file of rows, or of changes over the rows of another edition. */
interface KeptFile extends Edition {
  readonly name: string;
  readonly base: Edition | undefined;
}

/** What the host last knew of a table. */
export type Kept = { readonly isAbsent: true } | { readonly isAbsent: false; readonly copy: RowCopy };

const isSame = (a: Edition, b: Edition): boolean => a.id === b.id && a.version === b.version && a.madeAt === b.madeAt;
const textOf = ({ id, version, madeAt }: Edition): string => `${id}-${version}-${madeAt}`;

export class KeptCopies {
  readonly #folder: string;
  readonly #stem: string;
  readonly #marker: string;

  /** `path`: that of the table's source, which is its name in the database. */
  constructor({ database, folder }: CopyStore, path: string) {
    this.#folder = folder;
    this.#stem = createHash('sha256').update(`${database}\n${path}`).digest('hex').slice(0, 32);
    this.#marker = join(folder, `${this.#stem}.absent`);
  }

  #path(edition: Edition, base?: Edition): string {
    const over = base === undefined ? '' : `-over-${textOf(base)}`;
    return join(this.#folder, `${this.#stem}-${textOf(edition)}${over}${INDEX_SUFFIX}`);
  }

  /** A file for the rows of an edition; `openRows` reads it when it is committed. */
  build(edition: Edition): IndexBuilder {
    ensureFolder(this.#folder);
    return new IndexBuilder(this.#path(edition), { mode: 0o600 });
  }

  openRows({ id, version, madeAt }: Edition): FileCopy {
    const edition = { id, version, madeAt };
    return new FileCopy(edition, this.#path(edition));
  }

  /** The rows of an edition, where some process of this host has kept them. */
  find(edition: Edition): RowCopy | undefined {
    const file = this.#files().find((kept) => isSame(kept, edition) && this.#isWhole(kept));
    return file === undefined ? undefined : this.#open(file);
  }

  /** Keeps what is not yet in a file, and removes what that takes the place of. Throws as the file system does. */
  keep(head: TableHead, copy: RowCopy): void {
    ensureFolder(this.#folder);
    const base = copy instanceof Overlay ? copy.base.edition : undefined;
    // The rows below belong to processes that are behind: what is kept already serves others better.
    if (base !== undefined && !existsSync(this.#path(base))) return;
    if (copy instanceof MemoryCopy) this.#write(this.#path(head), copy.rows);
    else if (copy instanceof Overlay) {
      const changes = Array.from(
        copy.changes,
        ([key, value]) => [key, value === undefined ? '-' : `+${value}`] as const,
      );
      this.#write(this.#path(head, base), changes);
    }
    rmSync(this.#marker, { force: true });
    for (const file of this.#files()) {
      const isMine = isSame(file, head) || (base !== undefined && isSame(file, base));
      const isAhead = file.id === head.id && file.version > head.version && file.madeAt >= head.madeAt;
      if (!isMine && !isAhead) this.#remove(file);
    }
  }

  #write(path: string, rows: Iterable<readonly [string, string]>): void {
    // Another process was quicker.
    if (existsSync(path)) return;
    using builder = new IndexBuilder(path, { mode: 0o600 });
    for (const [key, value] of rows) builder.add(key, value);
    builder.commit();
  }

  /** Keeps that the database has no such table. */
  keepAbsence(): void {
    ensureFolder(this.#folder);
    writeFileSync(this.#marker, '', { mode: 0o600 });
    for (const file of this.#files()) this.#remove(file);
  }

  /** What was last kept, for when the database does not answer; undefined where nothing was. Throws as the file system does. */
  last(): Kept | undefined {
    if (existsSync(this.#marker)) return { isAbsent: true };
    const newest = this.#files()
      .filter((file) => this.#isWhole(file))
      .sort((a, b) => b.madeAt - a.madeAt || b.version - a.version)[0];
    return newest === undefined ? undefined : { isAbsent: false, copy: this.#open(newest) };
  }

  #isWhole({ base }: KeptFile): boolean {
    return base === undefined || existsSync(this.#path(base));
  }

  #open(file: KeptFile): RowCopy {
    if (file.base === undefined) return this.openRows(file);
    return new Overlay(file.version, this.openRows(file.base), readChanges(join(this.#folder, file.name)));
  }

  #remove({ name }: KeptFile): void {
    rmSync(join(this.#folder, name), { force: true });
  }

  #files(): KeptFile[] {
    if (!existsSync(this.#folder)) return [];
    ensureFolder(this.#folder);
    const pattern = new RegExp(`^${this.#stem}-(\\d+-\\d+-\\d+)(?:-over-(\\d+-\\d+-\\d+))?\\${INDEX_SUFFIX}$`);
    return readdirSync(this.#folder).flatMap((name) => {
      const [, edition, base] = pattern.exec(name) ?? [];
      return edition === undefined
        ? []
        : [{ ...readEdition(edition), name, base: base === undefined ? undefined : readEdition(base) }];
    });
  }
}

function readEdition(text: string): Edition {
  const [id = 0, version = 0, madeAt = 0] = text.split('-').map(Number);
  return { id, version, madeAt };
}

function readChanges(path: string): Map<string, string | undefined> {
  const reader = new IndexReader(path);
  try {
    return new Map(Array.from(reader.entries(), ([key, value]) => [key, value === '-' ? undefined : value.slice(1)]));
  } finally {
    reader.close();
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
