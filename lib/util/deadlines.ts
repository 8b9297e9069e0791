/**
 * Time limits of many things by one coarse timer a process: setting one is an assignment, so a busy connection pays
 * nothing for it. A limit fires up to a quarter of a second late.
 *
 * The timer runs only while something is watched, and keeps no process alive.
 */

export interface Limited {
  /** Time of `performance.now()` at which `expire` is due; 0 for never. */
  deadline: number;
  /** Called once the deadline has passed. The deadline is 0 by then. */
  expire(): void;
}

const RESOLUTION = 250;

export class Deadlines {
  readonly #watched = new Set<Limited>();
  #timer: NodeJS.Timeout | undefined;

  watch(limited: Limited): void {
    this.#watched.add(limited);
    if (this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#tick(), RESOLUTION);
    this.#timer.unref();
  }

  unwatch(limited: Limited): void {
    this.#watched.delete(limited);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const now = performance.now();
    for (const limited of this.#watched) {
      if (limited.deadline === 0 || limited.deadline > now) continue;
      limited.deadline = 0;
      limited.expire();
    }
  }
}

/** The time limits of this process. */
export const deadlines = new Deadlines();
