/**
 * One transport: its jobs and destinations, which entry is next, and how many deliveries of it may be under way
 * (SCHEDULER_README, "How the entry selection works").
 *
 * The next entry is one of the first job in the list that has a destination which can take one; destinations of a job take
 * turns. Jobs are not walked through for that: each destination knows which job is first there, and the destinations that
 * can take something stand in a heap in the order of those jobs.
 *
 * Pure bookkeeping: times come from the caller, in milliseconds of a monotonic clock.
 */
import type { StatusNotification } from '../../lib/clients/protocols.ts';
import { Heap } from '../../lib/util/heap.ts';
import type { Admitted } from './admitted.ts';
import { Job } from './job.ts';
import { JobList } from './job-list.ts';
import type { Entry } from './message.ts';
import { Preemption } from './preemption.ts';
import { DestinationQueue, type Suspension } from './queue.ts';
import type { TransportSettings } from './settings.ts';

/** Destinations whose concurrency is remembered while nothing waits for them. */
const IDLE_QUEUES = 20_000;

export class Transport {
  readonly settings: TransportSettings;
  readonly #queues = new Map<string, DestinationQueue>();
  /** In the order in which they became idle. */
  readonly #idle = new Set<DestinationQueue>();
  readonly #jobs = new JobList();
  readonly #preemption: Preemption;
  /** Destinations that can take an entry. */
  readonly #ready = new Heap<DestinationQueue>((a, b) => {
    const difference = a.first!.job.order - b.first!.job.order;
    return difference < 0 || (difference === 0 && a.turn < b.turn);
  });
  readonly #suspended = new Heap<Suspension>((a, b) => a.until < b.until);
  /** Jobs of messages that are not read in whole, in the order in which they came. */
  readonly unreadJobs = new Set<Job>();
  /** Recipients in entries that are not done. */
  inMemory = 0;
  busy = 0;
  /** With a transport_rate_delay: when the next delivery may begin. */
  readyAt = 0;
  #turn = 0;

  constructor(settings: TransportSettings) {
    this.settings = settings;
    this.#preemption = new Preemption(settings, this.#jobs);
  }

  get queues(): Iterable<DestinationQueue> {
    return this.#queues.values();
  }

  queue(name: string, nexthop: string): DestinationQueue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new DestinationQueue(name, nexthop, this.settings.name, this.settings);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** The job of a message, made where there is none. */
  job(admitted: Admitted, now: number): Job {
    for (const job of admitted.jobs) if (job.transport === this) return job;
    const job = new Job(admitted, this, now);
    admitted.jobs = admitted.jobs.length === 0 ? [job] : [...admitted.jobs, job];
    if (admitted.unread !== undefined) this.unreadJobs.add(job);
    return job;
  }

  /** Lets an entry wait for its turn. */
  add(entry: Entry): void {
    const { peer, queue, recipients } = entry;
    const { job } = peer;
    if (!job.listed) {
      this.#jobs.add(job);
      this.#preemption.arrived(job);
    }
    this.inMemory += recipients.length;
    queue.push(peer, entry);
    this.#idle.delete(queue);
    this.#refresh(queue);
  }

  /** The entry whose turn it is, or undefined where none may be delivered at present. */
  select(now: number): Entry | undefined {
    if (this.busy >= this.settings.processLimit || now < this.readyAt) return undefined;
    const current = this.#ready.first?.first?.job;
    if (current === undefined) return undefined;
    const candidate = this.#preemption.candidate(current, now);
    if (candidate !== undefined) this.#moveAhead(candidate, current);
    const queue = this.#ready.first!;
    const entry = queue.take();
    queue.turn = ++this.#turn;
    this.#refresh(queue);
    this.busy++;
    this.retire(entry.peer.job);
    return entry;
  }

  #moveAhead(job: Job, current: Job): void {
    // The places of several items of the heap change at once: they are out of it meanwhile.
    for (const { queue } of job.peers) this.#ready.delete(queue);
    if (this.#jobs.moveAhead(job, current)) {
      job.chargeTo(current);
      for (const peer of job.peers) peer.queue.moved(peer);
    }
    for (const { queue } of job.peers) this.#refresh(queue);
  }

  /** Takes a job out of the list once all of it is selected and nothing of its message is left to be read. */
  retire(job: Job): void {
    if (job.remaining > 0 || job.admitted.unread !== undefined) return;
    job.settle();
    this.#jobs.remove(job);
  }

  /** An entry of `queue` is no longer under way. */
  release(queue: DestinationQueue, now: number): void {
    this.busy--;
    queue.busy--;
    const { destinationRateDelayMs, transportRateDelayMs } = this.settings;
    if (transportRateDelayMs > 0) this.readyAt = now + transportRateDelayMs;
    if (destinationRateDelayMs > 0 && queue.deadReason === undefined)
      this.#suspend(queue, now + destinationRateDelayMs);
    else this.#refresh(queue);
    this.#rest(queue);
  }

  /** The entry is done: its recipients leave memory. */
  done(entry: Entry): void {
    this.inMemory -= entry.recipients.length;
  }

  /** A delivery reached the destination; a dead one lives again. */
  succeeded(queue: DestinationQueue): void {
    if (queue.deadReason === undefined) queue.window.succeeded(queue.busy);
    else this.#revive(queue);
    this.#refresh(queue);
  }

  /**
   * A delivery did not reach the destination. Where it is dead from now until `until`, what waits for it waits no more
   * and is returned.
   */
  failed(queue: DestinationQueue, reason: StatusNotification, until: number): Entry[] {
    if (queue.deadReason !== undefined) return [];
    if (!queue.window.failed()) {
      this.#refresh(queue);
      return [];
    }
    queue.deadReason = reason;
    this.#suspend(queue, until);
    const oldest = this.#suspended.first!.queue;
    if (this.#suspended.size > this.settings.deadDestinationLimit && oldest !== queue) this.#resume(oldest);
    return this.drain(queue);
  }

  /** Everything that waits for a destination, which then waits no more. */
  drain(queue: DestinationQueue): Entry[] {
    const entries = queue.drain();
    this.#refresh(queue);
    for (const { peer } of entries) this.retire(peer.job);
    return entries;
  }

  /** Forgets which destinations are dead. */
  forgetDead(): void {
    const dead = [...this.#queues.values()].filter((queue) => queue.deadReason !== undefined);
    for (const queue of dead) this.#resume(queue);
  }

  /** Resumes what has been suspended for long enough; resolves to whether something may be able to deliver. */
  tick(now: number): boolean {
    while (this.#suspended.first !== undefined && this.#suspended.first.until <= now) {
      this.#resume(this.#suspended.first.queue);
    }
    return this.#ready.size > 0 && now >= this.readyAt;
  }

  /** When `tick` is due next; infinite where nothing waits for its time. */
  wakeAt(now: number): number {
    const resume = this.#suspended.first?.until ?? Number.POSITIVE_INFINITY;
    return this.#ready.size > 0 && now < this.readyAt ? Math.min(resume, this.readyAt) : resume;
  }

  #suspend(queue: DestinationQueue, until: number): void {
    if (queue.suspension !== undefined) this.#suspended.delete(queue.suspension);
    queue.suspension = { queue, until, heapPlace: -1 };
    this.#suspended.put(queue.suspension);
    this.#refresh(queue);
  }

  #revive(queue: DestinationQueue): void {
    queue.deadReason = undefined;
    queue.window.restart();
    if (queue.suspension !== undefined) this.#suspended.delete(queue.suspension);
    queue.suspension = undefined;
  }

  #resume(queue: DestinationQueue): void {
    if (queue.deadReason !== undefined) this.#revive(queue);
    else {
      this.#suspended.delete(queue.suspension!);
      queue.suspension = undefined;
    }
    this.#refresh(queue);
    this.#rest(queue);
  }

  /** Remembers an idle destination; of too many, the one that was idle longest is forgotten. */
  #rest(queue: DestinationQueue): void {
    if (!queue.idle) return;
    this.#idle.add(queue);
    if (this.#idle.size <= IDLE_QUEUES) return;
    const [oldest] = this.#idle;
    this.#idle.delete(oldest!);
    this.#queues.delete(oldest!.name);
  }

  #refresh(queue: DestinationQueue): void {
    if (queue.canTake) this.#ready.put(queue);
    else this.#ready.delete(queue);
  }
}
