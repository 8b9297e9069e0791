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
  // Nearly every peer has one entry, and needs no list.
  #first: Entry | undefined;
  #rest: Entry[] | undefined;
  #head = 0;

  constructor(job: Job, queue: DestinationQueue) {
    this.job = job;
    this.queue = queue;
  }

  get empty(): boolean {
    return this.#first === undefined;
  }

  push(entry: Entry): void {
    if (this.#first === undefined) this.#first = entry;
    else if (this.#rest === undefined) this.#rest = [entry];
    else this.#rest.push(entry);
    this.job.remaining++;
  }

  /** The entry whose turn it is. */
  take(): Entry {
    const entry = this.#first!;
    this.#first = this.#rest?.[this.#head];
    this.#head++;
    // A message for one destination may have a hundred thousand entries: what is done of them is let go in pieces.
    if (this.#first === undefined) {
      this.#rest = undefined;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#rest = this.#rest!.slice(this.#head);
      this.#head = 0;
    }
    this.job.remaining--;
    this.job.selected++;
    return entry;
  }

  /** All entries, which then wait no more and count as not selected. */
  drain(): Entry[] {
    if (this.#first === undefined) return [];
    const all = [this.#first, ...(this.#rest?.slice(this.#head) ?? [])];
    this.#first = undefined;
    this.#rest = undefined;
    this.#head = 0;
    this.job.remaining -= all.length;
    return all;
  }
}
