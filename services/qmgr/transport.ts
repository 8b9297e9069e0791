/**
 * One transport: its destinations, taken in turn, and how many deliveries of it may be under way.
 */
import type { Entry } from './message.ts';
import { DestinationQueue } from './queue.ts';
import type { TransportSettings } from './settings.ts';

/** Destinations that are remembered while nothing waits for them: the dead ones and their like. */
const IDLE_QUEUES = 20_000;

export class Transport {
  readonly settings: TransportSettings;
  readonly #queues = new Map<string, DestinationQueue>();
  /** Destinations that could deliver, in the order of their turns. */
  #ring: DestinationQueue[] = [];
  busy = 0;
  /** With a transport_rate_delay: when the next delivery may begin. */
  readyAt = 0;

  constructor(settings: TransportSettings) {
    this.settings = settings;
  }

  get queues(): Iterable<DestinationQueue> {
    return this.#queues.values();
  }

  queue(name: string, nexthop: string): DestinationQueue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      if (this.#queues.size >= IDLE_QUEUES) this.#forgetIdle();
      queue = new DestinationQueue(name, nexthop, this.settings);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  #forgetIdle(): void {
    for (const [name, queue] of this.#queues) {
      if (queue.idle && queue.deadReason === undefined) this.#queues.delete(name);
    }
  }

  /** To be called whenever a destination may have become able to deliver. */
  offer(queue: DestinationQueue): void {
    if (queue.inRing) return;
    queue.inRing = true;
    this.#ring.push(queue);
  }

  /** The entry whose turn it is, or undefined where none may be delivered at present. */
  select(now: number): Entry | undefined {
    if (this.busy >= this.settings.processLimit || now < this.readyAt) return undefined;
    for (let left = this.#ring.length; left > 0; left--) {
      const queue = this.#ring.shift()!;
      queue.inRing = false;
      if (!queue.canTake(now)) continue;
      const entry = queue.take();
      if (queue.canTake(now)) this.offer(queue);
      this.busy++;
      if (this.settings.transportRateDelayMs > 0) this.readyAt = now + this.settings.transportRateDelayMs;
      return entry;
    }
    return undefined;
  }

  /** An entry of `queue` is done. */
  release(queue: DestinationQueue, now: number): void {
    this.busy--;
    queue.busy--;
    if (this.settings.destinationRateDelayMs > 0 && queue.deadReason === undefined) {
      queue.readyAt = Math.max(queue.readyAt, now + this.settings.destinationRateDelayMs);
    }
    this.offer(queue);
  }

  /** Revives and offers what has waited long enough; resolves to whether anything became able to deliver. */
  tick(now: number): boolean {
    let woke = false;
    for (const queue of this.#queues.values()) {
      if (queue.readyAt === 0 || now < queue.readyAt) continue;
      if (queue.deadReason !== undefined) queue.revive();
      else queue.readyAt = 0;
      if (queue.waiting > 0) {
        this.offer(queue);
        woke = true;
      }
    }
    return woke || this.settings.transportRateDelayMs > 0;
  }
}
