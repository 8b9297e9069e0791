/**
 * Content that comes from a file and follows its changes: the file is looked at when somebody asks, at most twice a second,
 * and read again when it is not the same. A file that cannot be read or parsed any more leaves the last good content, with
 * a warning each time the file changes.
 */
import { type BigIntStats, statSync } from 'node:fs';
import { systemErrorText } from './file-value.ts';
import type { MaybePromise } from './table.ts';

const CHECK_INTERVAL_MS = 500;

export interface ReloadingOptions<T> {
  /** The first of these files that exists is the source. */
  readonly paths: readonly string[];
  /** Reads and parses the file. */
  load(path: string): MaybePromise<T>;
  /** Releases content that another has taken the place of. */
  release?(content: T): void;
  warn(text: string): void;
  /** Milliseconds on a clock that only goes forward; for tests. */
  readonly now?: () => number;
}

/** A file in one of its states. */
interface FileState {
  readonly path: string;
  readonly identity: string;
}

export class ReloadingFile<T> {
  readonly #options: ReloadingOptions<T>;
  #content: T;
  #state: FileState;
  #checkedAt: number;
  #reload: Promise<T> | undefined;

  private constructor(options: ReloadingOptions<T>, content: T, state: FileState) {
    this.#options = options;
    this.#content = content;
    this.#state = state;
    this.#checkedAt = this.#now();
  }

  /** Reads the file for the first time; rejects where that fails. */
  static async open<T>(options: ReloadingOptions<T>): Promise<ReloadingFile<T>> {
    // The identity is taken before the file is read: a change in between is seen again, never missed.
    const state = firstState(options.paths);
    return new ReloadingFile(options, await options.load(state.path), state);
  }

  /** The present content; a promise only while a changed file is being read. */
  current(): MaybePromise<T> {
    if (this.#reload !== undefined) return this.#reload;
    const now = this.#now();
    if (now - this.#checkedAt < CHECK_INTERVAL_MS) return this.#content;
    this.#checkedAt = now;
    let state: FileState;
    try {
      state = firstState(this.#options.paths);
    } catch {
      // Editors and postmap replace files: one that is away for a moment is no reason to forget it.
      return this.#content;
    }
    if (state.identity === this.#state.identity) return this.#content;
    this.#state = state;
    this.#reload = this.#load(state.path).finally(() => {
      this.#reload = undefined;
    });
    return this.#reload;
  }

  /** The content as it was last read, without a look at the file. */
  get last(): T {
    return this.#content;
  }

  async #load(path: string): Promise<T> {
    try {
      const old = this.#content;
      this.#content = await this.#options.load(path);
      this.#options.release?.(old);
    } catch (error) {
      this.#options.warn(`${path}: ${systemErrorText(error)}: the last good content stays in use`);
    }
    return this.#content;
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }
}

/** Several files that something was made of; looked at when somebody asks, at most twice a second. */
export class WatchedFiles {
  readonly #identities = new Map<string, string>();
  #checkedAt = performance.now();

  /** One more, as it is at present; it may be missing. */
  add(path: string): void {
    this.#identities.set(path, identityOrNothing(path));
  }

  /** True where one is not as it was; a file that is gone may be about to be replaced, and has not changed yet. */
  areChanged(): boolean {
    if (this.#identities.size === 0) return false;
    const now = performance.now();
    if (now - this.#checkedAt < CHECK_INTERVAL_MS) return false;
    this.#checkedAt = now;
    for (const [path, identity] of this.#identities) {
      const present = identityOrNothing(path);
      if (present !== '' && present !== identity) return true;
    }
    return false;
  }
}

function identityOrNothing(path: string): string {
  try {
    return identityOf(statSync(path, { bigint: true }));
  } catch {
    return '';
  }
}

/** The first file that exists. Throws as stat(2) does for the first of them where none exists. */
function firstState(paths: readonly string[]): FileState {
  let missing: unknown;
  for (const path of paths) {
    try {
      return { path, identity: `${path} ${identityOf(statSync(path, { bigint: true }))}` };
    } catch (error) {
      missing ??= error;
    }
  }
  throw missing;
}

function identityOf(stats: BigIntStats): string {
  return `${stats.dev}.${stats.ino}.${stats.size}.${stats.mtimeNs}.${stats.ctimeNs}`;
}
