/**
 * The jobs of a transport in the order in which the scheduler looks at them: first come, first served, except that a job
 * that preempts another stands in front of it. Places are numbers, so that two jobs compare without a walk.
 */
import type { Job } from './job.ts';

export class JobList {
  #first: Job | undefined;
  #last: Job | undefined;
  #size = 0;
  /** The greatest place that was given. */
  #end = 0;

  get first(): Job | undefined {
    return this.#first;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Adds a job behind those of messages that were admitted no later than its own. The walk is as long as the jobs that
   * came since: none, except where recipients that were read late need a transport that their message had not used.
   */
  add(job: Job): void {
    let before = this.#last;
    while (before !== undefined && before.admitted.sequence > job.admitted.sequence) before = before.previous;
    const order =
      before === this.#last ? undefined : placeBetween(before, before === undefined ? this.#first! : before.next!);
    // Where there is no number left in between, the end of the list is as good.
    if (order === undefined) this.#link(job, this.#last, ++this.#end);
    else this.#link(job, before, order);
  }

  /** Moves `job`, which stands behind `other`, in front of it. False where there is no number left between. */
  moveAhead(job: Job, other: Job): boolean {
    const order = placeBetween(other.previous, other);
    if (order === undefined) return false;
    this.remove(job);
    this.#link(job, other.previous, order);
    return true;
  }

  remove(job: Job): void {
    if (!job.listed) return;
    if (job.previous === undefined) this.#first = job.next;
    else job.previous.next = job.next;
    if (job.next === undefined) this.#last = job.previous;
    else job.next.previous = job.previous;
    job.previous = undefined;
    job.next = undefined;
    job.listed = false;
    this.#size--;
    if (this.#size === 0) this.#end = 0;
  }

  #link(job: Job, before: Job | undefined, order: number): void {
    job.order = order;
    job.previous = before;
    job.next = before === undefined ? this.#first : before.next;
    if (job.previous === undefined) this.#first = job;
    else job.previous.next = job;
    if (job.next === undefined) this.#last = job;
    else job.next.previous = job;
    job.listed = true;
    this.#size++;
  }
}

/** A number between the places of two jobs, or before the second; undefined where there is none left. */
function placeBetween(before: Job | undefined, after: Job): number | undefined {
  if (before === undefined) return after.order - 1;
  const order = (before.order + after.order) / 2;
  return order > before.order && order < after.order ? order : undefined;
}
