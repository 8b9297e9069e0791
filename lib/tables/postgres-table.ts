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
 * Without Postgres a copy stays in use as it is.
 */
import type { Pool } from 'pg';
import { FixedTable } from './fixed-table.ts';
import {
  type CopyStore,
  copyRows,
  isWorn,
  type RowCopy,
  readHead,
  streamRows,
  type TableHead,
} from './postgres-copy.ts';
import {
  type LookupResult,
  type MaybePromise,
  type ResolvedFlags,
  type Table,
  type TableContext,
  TableError,
  TRUSTED_OWNER,
} from './table.ts';

/** How long an old copy answers after a change was announced. */
const OLD_COPY_MS = 300;
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
  #state: 'unread' | 'current' | 'behind' | 'absent' = 'unread';
  #copy: RowCopy | undefined;
  #head: TableHead | undefined;
  #local: Promise<Table> | undefined;
  #starting: Promise<void> | undefined;
  #behindSince = 0;
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;
  #waiting: WaitingKey[] = [];
  #asking = false;

  constructor(options: PostgresTableOptions) {
    super(options.type, options.path, TRUSTED_OWNER, options.context, options.flags);
    this.path = options.path;
    this.#options = options;
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
      // It may come back; until then lookups are temporary failures.
      this.context.warn(`${this.type}:${this.name}: cannot ask the database: ${(error as Error).message}`);
      return;
    }
    if (this.#head === undefined) this.#state = 'absent';
    else if (this.#options.copies) void this.refresh();
  }

  /** All rows by key, straight from the database, or those of the local file. */
  async *entries(): AsyncGenerator<readonly [string, string]> {
    if (this.#state === 'absent') {
      this.#local ??= this.#options.openLocal();
      yield* (await this.#local).entries?.() ?? [];
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
    if (this.#head === undefined) return this.#findUnknown(key);
    if (copy !== undefined && performance.now() - this.#behindSince < OLD_COPY_MS) return copy.get(key);
    return this.#ask(key);
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
    this.#local ??= this.#options.openLocal();
    return await (await this.#local).lookup(key);
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
        const sameTable = this.#copy !== undefined && this.#head?.id === head.id && !isWorn(this.#copy);
        const isPresent = sameTable && this.#copy!.version === head.version;
        const copy = isPresent
          ? this.#copy!
          : await copyRows(client, head, this.#options.store, sameTable ? this.#copy : undefined);
        this.#become('current', head, copy);
      }
      await client.query('commit');
    } catch (error) {
      broken = error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  #become(state: 'current' | 'absent', head: TableHead | undefined, copy: RowCopy | undefined): void {
    const old = this.#copy;
    this.#state = state;
    this.#head = head;
    this.#copy = copy;
    // A copy that was built upon the old one still reads from it.
    if (old !== undefined && old !== copy && copy !== undefined && !('base' in copy)) old.close?.();
  }

  override async close(): Promise<void> {
    this.#options.onClose(this);
    await this.#refreshing;
    this.#copy?.close?.();
    if (this.#local !== undefined) await (await this.#local).close();
  }
}
