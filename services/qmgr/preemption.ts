/**
 * Which job may slip past the one that is being delivered, and when (SCHEDULER_README, "How the preemption works").
 *
 * The best candidate is the job with the most age per entry among those that can be delivered whole within the slots that
 * the current job has or will have. It goes ahead when the slots are there, but for a loan and a discount.
 *
 * Looking through all jobs each time would make a delivery dearer the more mail waits. So a few of the best are
 * remembered, and looked for again once enough deliveries have gone by to pay for the walk, or after a second; a
 * message that arrives is remembered at once. Where no large message is being delivered nothing is looked for at all.
 */
import type { Job } from './job.ts';
import type { JobList } from './job-list.ts';

export interface PreemptionSettings {
  /** Deliveries for which a job gains a slot; 0: no preemption. */
  readonly deliverySlotCost: number;
  /** Slots that need not be there yet. */
  readonly deliverySlotLoan: number;
  /** Per cent of the slots needed that need not be there yet. */
  readonly deliverySlotDiscount: number;
  /** A job that cannot have this many slots over is not preempted. */
  readonly minimumDeliverySlots: number;
}

/** Candidates that are remembered. */
const REMEMBERED = 16;
/** Destinations looked at for each delivery. */
const STEPS = 8;
/** Milliseconds after which all jobs are looked at again, whatever was delivered meanwhile. */
const INTERVAL = 1000;

export class Preemption {
  readonly #settings: PreemptionSettings;
  readonly #cost: number;
  readonly #jobs: JobList;
  readonly #candidates: Job[] = [];
  #deliveries = 0;
  #walked = 0;
  #walkedAt = Number.NEGATIVE_INFINITY;

  constructor(settings: PreemptionSettings, jobs: JobList) {
    this.#settings = settings;
    // With one slot for each delivery a job could be held up without end.
    this.#cost = settings.deliverySlotCost === 1 ? 2 : settings.deliverySlotCost;
    this.#jobs = jobs;
  }

  /** Slots that the job has or will have over, where it may be preempted at all; else 0. */
  #attainable(job: Job): number {
    if (this.#cost === 0) return 0;
    const slots = job.attainable(this.#cost);
    return slots >= this.#settings.minimumDeliverySlots ? slots : 0;
  }

  /** A job has come to the end of the list. */
  arrived(job: Job): void {
    if (this.#cost > 0 && this.#candidates.length < REMEMBERED) this.#candidates.push(job);
  }

  /**
   * The job that is to go ahead of the current one, where there is one and the slots allow it now. To be called before
   * each selection. `now`: milliseconds of a monotonic clock.
   */
  candidate(current: Job, now: number): Job | undefined {
    this.#deliveries++;
    const slots = this.#attainable(current);
    if (slots === 0 || this.#jobs.size < 2) return undefined;
    const candidate = this.#best(current, slots, now);
    if (candidate === undefined) return undefined;
    const { deliverySlotDiscount, deliverySlotLoan } = this.#settings;
    const missing = candidate.needed - current.available(this.#cost);
    return missing <= (candidate.needed * deliverySlotDiscount) / 100 + deliverySlotLoan ? candidate : undefined;
  }

  #best(current: Job, slots: number, now: number): Job | undefined {
    if (this.#deliveries * STEPS >= this.#walked || now - this.#walkedAt >= INTERVAL) this.#walk(current, slots, now);
    for (;;) {
      const best = this.#bestRemembered(current, slots, now);
      if (best === undefined || hasDeliverable(best)) return best;
      // It comes back with the next walk, if it can be delivered by then.
      this.#candidates.splice(this.#candidates.indexOf(best), 1);
    }
  }

  #bestRemembered(current: Job, slots: number, now: number): Job | undefined {
    let best: Job | undefined;
    let bestScore = 0;
    for (let at = this.#candidates.length - 1; at >= 0; at--) {
      const job = this.#candidates[at]!;
      if (!job.listed || job.remaining === 0 || job.order <= current.order) {
        this.#candidates.splice(at, 1);
      } else if (job.needed <= slots) {
        const its = score(job, now);
        if (its < bestScore || (its === bestScore && best !== undefined && best.order < job.order)) continue;
        best = job;
        bestScore = its;
      }
    }
    return best;
  }

  /** Remembers the best of all jobs behind the current one. */
  #walk(current: Job, slots: number, now: number): void {
    const found: { job: Job; score: number }[] = [];
    let steps = 0;
    for (let job = current.next; job !== undefined; job = job.next) {
      steps++;
      if (job.needed > slots) continue;
      const its = score(job, now);
      if (found.length === REMEMBERED && its <= found.at(-1)!.score) continue;
      steps += job.needed;
      if (job.remaining === 0 || !hasDeliverable(job)) continue;
      if (found.length === REMEMBERED) found.pop();
      let place = found.length;
      while (place > 0 && found[place - 1]!.score < its) place--;
      found.splice(place, 0, { job, score: its });
    }
    this.#candidates.splice(0, this.#candidates.length, ...found.map(({ job }) => job));
    this.#deliveries = 0;
    this.#walked = steps;
    this.#walkedAt = now;
  }
}

/** Age per entry: what waited long goes first, the sooner the smaller it is. */
function score(job: Job, now: number): number {
  return (now - job.enqueuedAt + 1) / job.needed;
}

/** True where an entry of the job could be delivered at present: a job that is blocked preempts nobody. */
function hasDeliverable(job: Job): boolean {
  for (const peer of job.peers) if (!peer.empty && peer.queue.canTake) return true;
  return false;
}
