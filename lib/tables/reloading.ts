/**
 * Content that comes from a file and follows its changes: the file is looked at when somebody asks, at most once a second,
 * and read again when it is not the same. A file that cannot be read or parsed any more leaves the last good content, with
 * a warning each time the file changes.
 */
import { type BigIntStats, statSync } from 'node:fs';
import { systemErrorText } from './file-value.ts';
import type { MaybePromise } from './table.ts';

const CHECK_INTERVAL_MS = 1000;

export interface ReloadingOptions<T> {
  readonly path: string;
  /** Reads and parses the file. */
  load(path: string): Promise<T>;
  warn(text: string): void;
  /** Milliseconds on a clock that only goes forward; for tests. */
  readonly now?: () => number;
}

export class ReloadingFile<T> {
  readonly #options: ReloadingOptions<T>;
  #content: T;
  #identity: string;
  #checkedAt: number;
  #reload: Promise<T> | undefined;

  private constructor(options: ReloadingOptions<T>, content: T, identity: string) {
    this.#options = options;
    this.#content = content;
    this.#identity = identity;
    this.#checkedAt = this.#now();
  }

  /** Reads the file for the first time; rejects where that fails. */
  static async open<T>(options: ReloadingOptions<T>): Promise<ReloadingFile<T>> {
    // The identity is taken before the file is read: a change in between is seen again, never missed.
    const identity = fileIdentity(options.path);
    const content = await options.load(options.path);
    return new ReloadingFile(options, content, identity);
  }

  /** The present content; a promise only while a changed file is being read. */
  current(): MaybePromise<T> {
    if (this.#reload !== undefined) return this.#reload;
    const now = this.#now();
    if (now - this.#checkedAt < CHECK_INTERVAL_MS) return this.#content;
    this.#checkedAt = now;
    let identity: string;
    try {
      identity = fileIdentity(this.#options.path);
    } catch {
      // Editors and postmap replace files: one that is away for a moment is no reason to forget it.
      return this.#content;
    }
    if (identity === this.#identity) return this.#content;
    this.#identity = identity;
    this.#reload = this.#load().finally(() => {
      this.#reload = undefined;
    });
    return this.#reload;
  }

  /** The content as it was last read, without a look at the file. */
  get last(): T {
    return this.#content;
  }

  async #load(): Promise<T> {
    try {
      this.#content = await this.#options.load(this.#options.path);
    } catch (error) {
      this.#options.warn(`${this.#options.path}: ${systemErrorText(error)}: the last good content stays in use`);
    }
    return this.#content;
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }
}

/** What tells one state of a file from another. Throws as stat(2) does. */
export function fileIdentity(path: string): string {
  const stats: BigIntStats = statSync(path, { bigint: true });
  return `${stats.dev}.${stats.ino}.${stats.size}.${stats.mtimeNs}.${stats.ctimeNs}`;
}
