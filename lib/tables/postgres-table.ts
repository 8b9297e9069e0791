/**
 * One indexed table of a fleet, as a process sees it: a local copy of its rows, followed by what changes.
 *
 * States:
 * - `unread`: nothing is here yet; each lookup asks Postgres, many keys at once.
 * - `current`: the copy has the version that was last announced; lookups answer at once.
 * - `behind`: a newer version was announced and is being read. For a moment the copy still answers; when reading takes
 *   longer, lookups ask Postgres, and the copy where that fails.
 * - `absent`: the database has no table of that name; the index file or the source beside it is used.
 *
 * Without Postgres a copy stays in use as it is. Who starts without it uses what the host last kept on disk, or the local file
 * where the database had no such table; where nothing was kept, lookups are temporary failures.
 */
import type { Pool } from 'pg';
import { systemErrorText } from './file-value.ts';
import { FixedTable } from './fixed-table.ts';
import { type CopyStore, type Kept, KeptCopies, Overlay, type RowCopy, type TableHead } from './kept-copies.ts';
import { copyRows, isWorn, readHead, streamRows } from './postgres-copy.ts';
import {
  type LookupResult,
  type MaybePromise,
  type ResolvedFlags,
  type Table,
  type TableContext,
  TableError,
  TableOpenError,
  TRUSTED_OWNER,
} from './table.ts';

/** How long an old copy answers after a change was announced. */
const OLD_COPY_MS = 300;
/** Milliseconds between two writings of the same table to disk. */
const KEEP_INTERVAL_MS = 5000;
const MAX_KEYS_PER_QUERY = 1000;
const MAX_WAITING_KEYS = 100_000;

export interface PostgresTableOptions {
  readonly pool: Pool;
  readonly store: CopyStore;
  readonly type: string;
  /** The path of the source. */
  readonly path: string;
  readonly context: TableContext;
  readonly flags: ResolvedFlags;
  /** False for a command that looks up a key or two: no copy is made. */
  readonly copies: boolean;
  openLocal(): Promise<Table>;
  /** Told when the table is closed. */
  onClose(table: PostgresTable): void;
}

interface WaitingKey {
  readonly key: string;
  resolve(value: LookupResult): void;
  reject(error: Error): void;
}

export class PostgresTable extends FixedTable {
  readonly path: string;
  readonly #options: PostgresTableOptions;
  readonly #kept: KeptCopies;
  #state: 'unread' | 'current' | 'behind' | 'absent' = 'unread';
  #copy: RowCopy | undefined;
  #head: TableHead | undefined;
  #local: Promise<Table> | undefined;
  #starting: Promise<void> | undefined;
  #behindSince = 0;
  /** The database did not answer at the start, and had no such table before. */
  #startsAbsent = false;
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;
  #keepFailed = false;
  #keptAt = Number.NEGATIVE_INFINITY;
  #keptState = '';
  #keepTimer: NodeJS.Timeout | undefined;
  #waiting: WaitingKey[] = [];
  #asking = false;

  constructor(options: PostgresTableOptions) {
    super(options.type, options.path, TRUSTED_OWNER, options.context, options.flags);
    this.path = options.path;
    this.#options = options;
    this.#kept = new KeptCopies(options.store, options.path);
  }

  /** True where the last answer of the database is known to be good: the copy, or that there is no such table. */
  get isSettled(): boolean {
    return this.#state === 'current' || this.#state === 'absent';
  }

  /** The version of the copy; undefined where there is none. */
  get version(): number | undefined {
    return this.#copy?.version;
  }

  /** Reads the head, so that it is known whether the database has the table; the copy follows in the background. */
  async start(): Promise<void> {
    try {
      this.#head = await readHead(this.#options.pool, this.path);
    } catch (error) {
      this.#startWithout(error as Error);
      return;
    }
    if (this.#head === undefined) this.#become('absent', undefined, undefined);
    else if (this.#options.copies) void this.refresh();
  }

  /** The database may come back, and is then asked what has changed; until then, what the host has kept serves. */
  #startWithout({ message }: Error): void {
    const table = `${this.type}:${this.name}`;
    const kept = this.#options.copies ? this.#lastKept() : undefined;
    if (kept === undefined) {
      this.context.warn(
        `${table}: cannot ask the database, and no copy is on this host: lookups fail for now: ${message}`,
      );
      return;
    }
    this.context.warn(
      `${table}: cannot ask the database: ${kept.isAbsent ? 'the local file' : `the copy of version ${kept.copy.version}`} serves for now: ${message}`,
    );
    if (kept.isAbsent) this.#startsAbsent = true;
    else this.#copy = kept.copy;
  }

  #lastKept(): Kept | undefined {
    try {
      return this.#kept.last();
    } catch (error) {
      this.context.warn(`${this.type}:${this.name}: copies on this host: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** All rows by key, straight from the database, or those of the local file. */
  async *entries(): AsyncGenerator<readonly [string, string]> {
    if (this.#state === 'absent') {
      yield* (await this.#openLocal()).entries?.() ?? [];
      return;
    }
    const client = await this.#options.pool.connect();
    try {
      const head = await readHead(client, this.path);
      if (head !== undefined) yield* streamRows(client, head);
    } finally {
      // A listing that was left half way leaves rows on the way.
      client.release(true);
    }
  }

  protected find(key: string): MaybePromise<LookupResult> {
    const copy = this.#copy;
    if (this.#state === 'current') return copy!.get(key);
    if (this.#state === 'absent') return this.#findLocally(key);
    if (this.#head === undefined) return this.#findWithout(key);
    if (copy !== undefined && performance.now() - this.#behindSince < OLD_COPY_MS) return copy.get(key);
    return this.#ask(key);
  }

  /** The database has not answered yet: what the host has kept does. */
  #findWithout(key: string): MaybePromise<LookupResult> {
    if (this.#copy !== undefined) return this.#copy.get(key);
    return this.#startsAbsent ? this.#findLocally(key) : this.#findUnknown(key);
  }

  /** Nothing is known of the table yet, since the database did not answer: it is asked once more. */
  async #findUnknown(key: string): Promise<LookupResult> {
    this.#starting ??= this.start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
    if (this.isSettled || this.#head !== undefined) return await this.find(key);
    throw new TableError(`${this.type}:${this.name}: the database does not answer`);
  }

  async #findLocally(key: string): Promise<LookupResult> {
    return await (await this.#openLocal()).lookup(key);
  }

  /** The file may come later: where it cannot be opened, the next lookup tries again. */
  #openLocal(): Promise<Table> {
    this.#local ??= this.#options.openLocal().catch((error: unknown) => {
      this.#local = undefined;
      const reason = error instanceof TableOpenError ? error.message : systemErrorText(error);
      throw new TableError(`neither the database nor this host has the table: ${reason}`);
    });
    return this.#local;
  }

  /** Looks a key up in the database, together with the others that ask at the same time. */
  #ask(key: string): Promise<LookupResult> {
    if (this.#waiting.length >= MAX_WAITING_KEYS) return Promise.reject(new TableError('too many lookups are waiting'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      if (!this.#asking) void this.#askAll();
    });
  }

  async #askAll(): Promise<void> {
    this.#asking = true;
    // What else asks in this turn of the event loop goes into the same query.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_KEYS_PER_QUERY);
      try {
        const found = await this.#query(batch.map(({ key }) => key));
        for (const { key, resolve } of batch) resolve(found.get(key));
      } catch (error) {
        this.#answerWithout(batch, error as Error);
      }
    }
    this.#asking = false;
  }

  async #query(keys: readonly string[]): Promise<Map<string, string>> {
    const usable = keys.filter((key) => key.isWellFormed() && !key.includes('\0'));
    const { rows } = await this.#options.pool.query<{ key: string; value: string }>(
      `select key, value from lookup_row
       where table_id = (select id from lookup_table where name = $1) and key = any($2::text[])`,
      [this.path, usable],
    );
    return new Map(rows.map(({ key, value }) => [key, value]));
  }

  /** The database does not answer: the copy does, where there is one. */
  #answerWithout(batch: readonly WaitingKey[], error: Error): void {
    const copy = this.#copy;
    if (copy === undefined) this.context.warn(`${this.type}:${this.name}: database error: ${error.message}`);
    for (const { key, resolve, reject } of batch) {
      if (copy === undefined) reject(new TableError(`${this.type}:${this.name}: ${error.message}`));
      else resolve(copy.get(key));
    }
  }

  /** Called when the table was announced as changed, and when announcements may have been missed. */
  async changed(): Promise<void> {
    if (this.#state === 'current') {
      this.#state = 'behind';
      this.#behindSince = performance.now();
    }
    if (this.#options.copies) await this.refresh();
    else await this.start();
  }

  /** Brings the copy to the present version. Failures are logged; the next announcement or check tries again. */
  async refresh(): Promise<void> {
    if (this.#refreshing !== undefined) {
      this.#refreshAgain = true;
      return await this.#refreshing;
    }
    this.#refreshing = this.#refreshUntilDone();
    try {
      await this.#refreshing;
    } finally {
      this.#refreshing = undefined;
    }
  }

  async #refreshUntilDone(): Promise<void> {
    do {
      this.#refreshAgain = false;
      try {
        await this.#refreshOnce();
      } catch (error) {
        if (this.context.signal.aborted) return;
        this.context.warn(
          `${this.type}:${this.name}: cannot read the table from the database: ${(error as Error).message}`,
        );
        return;
      }
    } while (this.#refreshAgain);
  }

  async #refreshOnce(): Promise<void> {
    const client = await this.#options.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('begin transaction isolation level repeatable read read only');
      const head = await readHead(client, this.path);
      if (head === undefined) this.#become('absent', undefined, undefined);
      else {
        const older = this.#usableCopy(head);
        const isPresent = older?.version === head.version;
        this.#become('current', head, isPresent ? older : await copyRows(client, head, this.#kept, older));
      }
      await client.query('commit');
    } catch (error) {
      broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** The copy, where it is of that version or of one before it; not of what the table was before a backup came back. */
  #usableCopy(head: TableHead): RowCopy | undefined {
    const [known, copy] = [this.#head, this.#copy];
    if (known === undefined || copy === undefined || known.id !== head.id || isWorn(copy)) return undefined;
    const follows = copy.version < head.version || (copy.version === head.version && known.madeAt === head.madeAt);
    return follows ? copy : undefined;
  }

  #become(state: 'current' | 'absent', head: TableHead | undefined, copy: RowCopy | undefined): void {
    const old = this.#copy;
    const isNews = this.#state !== state || old !== copy;
    this.#state = state;
    this.#head = head;
    this.#copy = copy;
    if (isNews && this.#options.copies) this.#keepSoon();
    // A copy that was built upon the old one still reads from it.
    if (old !== copy && !(copy instanceof Overlay)) old?.close?.();
  }

  /** A table that changes all the time is not written all the time. */
  #keepSoon(): void {
    const due = this.#keptAt + KEEP_INTERVAL_MS - performance.now();
    if (due <= 0 || this.#keptState !== this.#state) this.#keep();
    else this.#keepTimer ??= setTimeout(() => this.#keep(), due).unref();
  }

  /** For processes that start while the database is away. */
  #keep(): void {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    this.#keptAt = performance.now();
    this.#keptState = this.#state;
    try {
      if (this.#head === undefined || this.#copy === undefined) this.#kept.keepAbsence();
      else this.#kept.keep(this.#head, this.#copy);
    } catch (error) {
      if (this.#keepFailed) return;
      this.#keepFailed = true;
      this.context.warn(`${this.type}:${this.name}: cannot keep a copy on this host: ${(error as Error).message}`);
    }
  }

  override async close(): Promise<void> {
    this.#options.onClose(this);
    await this.#refreshing;
    if (this.#keepTimer !== undefined) this.#keep();
    this.#copy?.close?.();
    await (await this.#local?.catch(() => undefined))?.close();
  }
}
