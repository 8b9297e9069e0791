/**
 * Says when main.cf or master.cf of a directory have other contents than before, for services whose configuration is put
 * there by somebody who cannot signal them: a kubelet, which replaces all files of a mounted ConfigMap at once by turning a
 * symbolic link. Changes of the directory are waited for; a look now and then finds what the system did not tell.
 *
 * Files that cannot be read at the moment count as unchanged.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentsHash } from '../config/contents.ts';

/** Milliseconds for a writer to finish. */
const SETTLE = 200;
const LOOK_INTERVAL = 15_000;

export interface DirectoryWatchOptions {
  readonly directory: string;
  readonly changed: () => void;
  /** `directoryContents` of the moment at which the files were read. */
  readonly seen: string | undefined;
  readonly lookInterval?: number;
}

/** Tells contents apart; undefined where they cannot be read. */
export async function directoryContents(directory: string): Promise<string | undefined> {
  try {
    const [mainCf, masterCf] = await Promise.all(
      ['main.cf', 'master.cf'].map((name) => readFile(join(directory, name))),
    );
    return contentsHash(mainCf!, masterCf!);
  } catch {
    return undefined;
  }
}

export class DirectoryWatch implements AsyncDisposable {
  readonly #options: DirectoryWatchOptions;
  readonly #timer: NodeJS.Timeout;
  #watcher: FSWatcher | undefined;
  #settling: NodeJS.Timeout | undefined;
  #seen: string | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: DirectoryWatchOptions) {
    this.#options = options;
    this.#seen = options.seen;
    this.#timer = setInterval(() => this.#look(), options.lookInterval ?? LOOK_INTERVAL);
    this.#timer.unref();
    this.#watch();
    this.#look();
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#options.directory, { persistent: false }, () => this.#soon());
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // Where the system cannot watch it, the timer looks.
    }
  }

  #soon(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#look(), SETTLE);
    this.#settling.unref();
  }

  #look(): void {
    this.#looking = this.#looking.then(async () => {
      const found = await directoryContents(this.#options.directory);
      if (found === undefined || found === this.#seen) return;
      this.#seen = found;
      this.#options.changed();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#settling);
    this.#watcher?.close();
    await this.#looking;
  }
}
