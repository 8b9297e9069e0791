/**
 * A message under scheduling: its jobs, how many of its recipients are in memory as entries, and those that are not read
 * in yet.
 */
import type { Job } from './job.ts';
import type { ActiveMessage } from './message.ts';
import type { Unread } from './unread.ts';

export class Admitted {
  readonly message: ActiveMessage;
  /** Messages are numbered in the order of their admission. */
  readonly sequence: number;
  /** One for each transport. */
  jobs: readonly Job[] = [];
  /** Recipients in entries that are not done. */
  inMemory = 0;
  /** Undefined where all recipients are read in. */
  unread: Unread | undefined;
  /** True while recipients are being read in. */
  reading = false;
  /** When recipients were read in last, in milliseconds of a monotonic clock. */
  readAt: number;

  constructor(message: ActiveMessage, sequence: number, now: number) {
    this.message = message;
    this.sequence = sequence;
    this.readAt = now;
  }
}
