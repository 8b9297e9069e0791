/**
 * Is there room for a message: message_size_limit for what the client says its size is, and queue_minfree (with one and a
 * half times message_size_limit, as qmgr and cleanup need room too) for the disk of the queue. Where there is
 * plenty, the disk is asked once a second at most; where there is not, for every few messages, or they would fill it in
 * between.
 */
import { statfs } from 'node:fs/promises';
import type { SmtpdContext } from './context.ts';
import type { MaybePromise } from './restrictions/verdict.ts';

/** Milliseconds for which the free space is remembered: where there is plenty, and where there is not. */
const LIFETIME = 1000;
const SHORT_LIFETIME = 20;
/** More bytes than come within a second. */
const PLENTY = 2 ** 31;

/** Free bytes of a file system. */
export class FreeSpace {
  readonly #directory: string;
  #at = 0;
  #free = Number.POSITIVE_INFINITY;

  constructor(directory: string) {
    this.#directory = directory;
  }

  bytes(): MaybePromise<number> {
    const lifetime = this.#free > PLENTY ? LIFETIME : SHORT_LIFETIME;
    return Date.now() - this.#at < lifetime ? this.#free : this.#ask();
  }

  async #ask(): Promise<number> {
    this.#at = Date.now();
    try {
      const { bavail, bsize } = await statfs(this.#directory);
      this.#free = bavail * bsize;
    } catch {
      // A queue that is elsewhere (a cluster's NATS) has no directory here; cleanup(8) answers for its room.
      this.#free = Number.POSITIVE_INFINITY;
    }
    return this.#free;
  }
}

/** The reply that refuses a message of that size, undefined where it fits. */
export function sizeRefusal(context: SmtpdContext, size: number): MaybePromise<string | undefined> {
  const { messageSizeLimit } = context.settings;
  if (messageSizeLimit > 0 && size > messageSizeLimit) return '552 5.3.4 Message size exceeds fixed limit';
  const free = context.freeSpace.bytes();
  return free instanceof Promise ? free.then((bytes) => judge(context, bytes, size)) : judge(context, free, size);
}

function judge(context: SmtpdContext, free: number, size: number): string | undefined {
  const { messageSizeLimit, queueMinfree } = context.settings;
  const needed = Math.max(queueMinfree, 1.5 * messageSizeLimit, size);
  if (free >= needed) return undefined;
  context.log.warning(`not enough free space in mail queue: ${free} bytes < 1.5*message size limit`);
  return '452 4.3.1 Insufficient system storage';
}
