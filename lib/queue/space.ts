/**
 * Whether there is room for more mail. Where the filesystem of the queue can be seen (one machine), its free space; and
 * everywhere the bounds of the incoming streams, of which a reserve is left for moves and notices. Looked at while mail
 * comes, and for every message that comes while a disk has little left: a second's mail could fill it.
 *
 * Logs a warning when room runs out and a line when it is back.
 */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import type { Configuration } from '../config/settings.ts';
import type { Nats } from '../server/stores.ts';
import type { Log } from '../util/log.ts';
import { incomingStream } from './streams.ts';

/**
 * A path on the filesystem of the queue: queue_directory where main.cf names one that exists, else the state directory of
 * an instance on one machine, in which its stores are. What it returns may not exist: then the queue is another machine's.
 */
export function queuePath(configuration: Configuration): string {
  const directory = configuration.text('queue_directory');
  const named = configuration.set('queue_directory') && existsSync(directory);
  return named || !configuration.set('postfleet_state_directory')
    ? directory
    : configuration.text('postfleet_state_directory');
}

export interface SpaceOptions {
  readonly nats: Nats;
  readonly shards: number;
  /** A path on the queue's filesystem; it does not exist where that is another machine's. */
  readonly path: string;
  /** Octets that must stay free. */
  readonly minimumFree: number;
  readonly log: Log;
}

/** Milliseconds between two looks. */
const INTERVAL = 1000;
/** Octets of free disk above which a second's mail cannot fill it. */
const PLENTY = 2 ** 31;
/** Part of a bounded stream that is kept for what the queue itself writes. */
const STREAM_RESERVE = 0.05;

export class SpaceMonitor {
  readonly #options: SpaceOptions;
  #enough = true;
  #scarce = false;
  #streamsAt = 0;
  #streamsEnough = true;
  #checkedAt = 0;
  #checking: Promise<void> | undefined;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /** What was seen last; the first call, and one after a pause, wait for a look. */
  hasRoom(): boolean | Promise<boolean> {
    if (this.#scarce) return this.#now();
    const age = Date.now() - this.#checkedAt;
    if (age > INTERVAL) this.#checking ??= this.#look().finally(() => (this.#checking = undefined));
    return age > 10 * INTERVAL && this.#checking !== undefined ? this.#checking.then(() => this.#enough) : this.#enough;
  }

  /** Looked at for this message. */
  async #now(): Promise<boolean> {
    this.#checking ??= this.#look().finally(() => (this.#checking = undefined));
    await this.#checking;
    return this.#enough;
  }

  async #look(): Promise<void> {
    this.#checkedAt = Date.now();
    const enough = (await this.#diskHasRoom()) && (await this.#streamsHaveRoom());
    if (enough !== this.#enough) {
      if (enough) this.#options.log.info('there is room for mail again');
      else
        this.#options.log.warning('not enough free space in the mail queue: mail is refused with 452 until there is');
    }
    this.#enough = enough;
  }

  async #diskHasRoom(): Promise<boolean> {
    const { path, minimumFree } = this.#options;
    // A path that cannot be looked at says nothing of the space.
    const stats = await statfs(path).catch(() => undefined);
    if (stats === undefined) return true;
    const free = stats.bavail * stats.bsize;
    this.#scarce = free < PLENTY;
    return free > minimumFree;
  }

  async #streamsHaveRoom(): Promise<boolean> {
    if (Date.now() - this.#streamsAt >= INTERVAL) {
      this.#streamsAt = Date.now();
      this.#streamsEnough = await this.#askStreams();
    }
    return this.#streamsEnough;
  }

  async #askStreams(): Promise<boolean> {
    const { nats, shards } = this.#options;
    for (let shard = 0; shard < shards; shard++) {
      // A server that is away refuses mail by itself.
      const info = await nats.manager.streams.info(incomingStream(shard)).catch(() => undefined);
      if (info === undefined || info.config.max_bytes <= 0) continue;
      if (info.state.bytes > info.config.max_bytes * (1 - STREAM_RESERVE)) return false;
    }
    return true;
  }
}
