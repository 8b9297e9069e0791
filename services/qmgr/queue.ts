/**
 * One destination of a transport: what waits for it, how much is under way, and how many deliveries at once it is
 * trusted with. The window grows with deliveries that reach the destination and shrinks with those that do not; after
 * `failedCohortLimit` pseudo-cohorts of failures the destination is dead for a while, and what is or becomes due for it
 * is deferred without an attempt (Postfix SCHEDULER_README, "Concurrency scheduling").
 *
 *   open     window ≥ 1: entries are taken while fewer than `window` are under way
 *   delayed  between two deliveries of a destination with a rate delay; open again at `readyAt`
 *   dead     window 0: nothing is taken; open again, with the initial window, at `readyAt`
 *
 * Pure bookkeeping: times come from the caller, in milliseconds of a monotonic clock.
 */
import type { StatusNotification } from '../../lib/clients/protocols.ts';
import type { Entry } from './message.ts';
import type { Feedback, TransportSettings } from './settings.ts';

function amount(feedback: Feedback, window: number): number {
  if (feedback.per === 'concurrency') return feedback.base / window;
  return feedback.per === 'sqrt_concurrency' ? feedback.base / Math.sqrt(window) : feedback.base;
}

export class DestinationQueue {
  readonly name: string;
  readonly nexthop: string;
  readonly #settings: TransportSettings;
  readonly todo: Entry[] = [];
  #head = 0;
  busy = 0;
  window: number;
  /** Undefined while the destination is not dead. */
  deadReason: StatusNotification | undefined;
  /** When a dead or delayed destination may be tried. */
  readyAt = 0;
  /** True while it stands in its transport's ring of destinations that could deliver. */
  inRing = false;
  #success = 0;
  #failure = 0;
  #failedCohorts = 0;

  constructor(name: string, nexthop: string, settings: TransportSettings) {
    this.name = name;
    this.nexthop = nexthop;
    this.#settings = settings;
    this.window = settings.initialDestinationConcurrency;
  }

  get transportName(): string {
    return this.#settings.name;
  }

  get waiting(): number {
    return this.todo.length - this.#head;
  }

  get idle(): boolean {
    return this.waiting === 0 && this.busy === 0;
  }

  push(entry: Entry): void {
    this.todo.push(entry);
  }

  /** The entry whose turn it is; counts it as under way. */
  take(): Entry {
    const entry = this.todo[this.#head]!;
    this.#head++;
    // Dropping the front piece by piece would copy the rest each time; once half is gone, one copy is cheap.
    if (this.#head > 64 && this.#head * 2 > this.todo.length) {
      this.todo.splice(0, this.#head);
      this.#head = 0;
    }
    this.busy++;
    return entry;
  }

  /** Everything that waits, which then waits no more. */
  drain(): Entry[] {
    const all = this.todo.splice(this.#head);
    this.todo.length = 0;
    this.#head = 0;
    return all;
  }

  canTake(now: number): boolean {
    return this.waiting > 0 && this.busy < this.window && now >= this.readyAt;
  }

  /** A delivery reached the destination. */
  succeeded(): void {
    this.#failedCohorts = 0;
    const limit = this.#settings.destinationConcurrencyLimit;
    if (this.window >= limit && limit > 0) return;
    // Growth is for destinations that could use it: a window beyond what is asked of it says nothing of the destination.
    if (this.window > this.busy + this.#settings.initialDestinationConcurrency) return;
    this.#success += amount(this.#settings.positiveFeedback, this.window);
    while (this.#success >= 1) {
      this.#success -= 1;
      this.window += 1;
      this.#failure = 0;
    }
    if (limit > 0) this.window = Math.min(this.window, limit);
  }

  /** The destination could not be used. True where it is dead from now until `readyAt`. */
  failed(reason: StatusNotification, now: number, deadFor: number): boolean {
    if (this.deadReason !== undefined) return false;
    if (this.#settings.failedCohortLimit > 0) this.#failedCohorts += 1 / this.window;
    if (this.#failedCohorts > this.#settings.failedCohortLimit * 0.99) {
      this.window = 0;
      this.deadReason = reason;
      this.readyAt = now + deadFor;
      return true;
    }
    this.#failure -= amount(this.#settings.negativeFeedback, this.window);
    while (this.#failure < 0 && this.window > 1) {
      this.window -= 1;
      this.#failure += 1;
      this.#success = 0;
    }
    return false;
  }

  /** Ends a dead time that has run out. */
  revive(): void {
    this.deadReason = undefined;
    this.readyAt = 0;
    this.window = this.#settings.initialDestinationConcurrency;
    this.#success = 0;
    this.#failure = 0;
    this.#failedCohorts = 0;
  }
}
