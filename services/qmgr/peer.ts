/**
 * What a job has for one destination: the entries of one message for one queue, in the order of its recipients
 * (SCHEDULER_README, "The structures used by nqmgr").
 */
import type { Job } from './job.ts';
import type { Entry } from './message.ts';
import type { DestinationQueue } from './queue.ts';

export class Peer {
  readonly job: Job;
  readonly queue: DestinationQueue;
  /** Where its queue keeps it while it has entries. Belongs to the queue. */
  place: 'none' | 'end' | 'ahead' = 'none';
  #entries: Entry[] = [];
  #head = 0;

  constructor(job: Job, queue: DestinationQueue) {
    this.job = job;
    this.queue = queue;
  }

  get waiting(): number {
    return this.#entries.length - this.#head;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.job.remaining++;
  }

  /** The entry whose turn it is. */
  take(): Entry {
    const entry = this.#entries[this.#head]!;
    this.#head++;
    // A message for one destination may have a hundred thousand entries: what is done of them is let go in pieces.
    if (this.#head === this.#entries.length || this.#head >= 1024) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    this.job.remaining--;
    this.job.selected++;
    return entry;
  }

  /** All entries, which then wait no more and count as not selected. */
  drain(): Entry[] {
    const all = this.#entries.slice(this.#head);
    this.#entries = [];
    this.#head = 0;
    this.job.remaining -= all.length;
    return all;
  }
}
