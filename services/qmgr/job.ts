/**
 * What it takes to deliver one message over one transport, and the account of delivery slots by which messages with few
 * recipients slip past it (SCHEDULER_README, "How the preemption works").
 *
 * A job gains one slot with every `cost` entries of it that are selected, and pays one for each entry of the jobs that
 * preempt it: whatever preempts it, its delivery takes at most cost/(cost-1) of the time that it would take alone.
 */
import type { Admitted } from './admitted.ts';
import { Peer } from './peer.ts';
import type { DestinationQueue } from './queue.ts';
import type { Transport } from './transport.ts';

export class Job {
  readonly admitted: Admitted;
  readonly transport: Transport;
  /** Milliseconds of a monotonic clock. */
  readonly enqueuedAt: number;
  /** Its place in the scheduler's list: smaller numbers come first. Belongs to the list. */
  order = 0;
  previous: Job | undefined;
  next: Job | undefined;
  listed = false;
  /** Entries that wait. */
  remaining = 0;
  /** Entries whose delivery was begun. */
  selected = 0;
  /** Slots that were given to jobs that preempted this one. */
  slotsUsed = 0;
  /** It has been moved ahead of another job. */
  hasPreempted = false;
  #parent: Job | undefined;
  #charged = 0;
  #selectedBefore = 0;
  // Nearly every job has one destination, and needs no map.
  #only: Peer | undefined;
  #peers: Map<DestinationQueue, Peer> | undefined;

  constructor(admitted: Admitted, transport: Transport, enqueuedAt: number) {
    this.admitted = admitted;
    this.transport = transport;
    this.enqueuedAt = enqueuedAt;
  }

  /** The peer for a destination, made where there is none. */
  peer(queue: DestinationQueue): Peer {
    if (this.#only?.queue === queue) return this.#only;
    const known = this.#peers?.get(queue);
    if (known !== undefined) return known;
    const peer = new Peer(this, queue);
    if (this.#only === undefined) {
      this.#only = peer;
    } else {
      this.#peers ??= new Map([[this.#only.queue, this.#only]]);
      this.#peers.set(queue, peer);
    }
    return peer;
  }

  get peers(): Iterable<Peer> {
    if (this.#peers !== undefined) return this.#peers.values();
    return this.#only === undefined ? [] : [this.#only];
  }

  /** Entries that it may still take at most: each recipient that is not read in may need one of its own. */
  get needed(): number {
    return this.remaining + (this.admitted.unread?.count ?? 0);
  }

  /** Slots that other jobs could use at once. Below 0 while a loan is paid back. */
  available(cost: number): number {
    return Math.floor(this.selected / cost) - this.slotsUsed;
  }

  /** Slots that it will have had over until its last entry that is known today. */
  attainable(cost: number): number {
    return Math.floor((this.selected + this.remaining) / cost) - this.slotsUsed;
  }

  /** Lets `parent` pay for everything that this job still needs. */
  chargeTo(parent: Job): void {
    this.settle();
    this.hasPreempted = true;
    this.#parent = parent;
    this.#charged = this.needed;
    this.#selectedBefore = this.selected;
    parent.slotsUsed += this.#charged;
  }

  /** Gives back what was paid for entries that were not selected: deferred because their destination died, or fewer. */
  settle(): void {
    if (this.#parent === undefined) return;
    this.#parent.slotsUsed -= Math.max(0, this.#charged - (this.selected - this.#selectedBefore));
    this.#parent = undefined;
  }
}
