/**
 * Keeps a busy loop of batches from running with batches of one: a round begins no sooner than `milliseconds` after the
 * one before began. The first after a pause begins at once, so that an idle service adds no delay.
 */
export class Pace {
  readonly #milliseconds: number;
  #began = Number.NEGATIVE_INFINITY;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Undefined where the round may begin at once. Counts the round as begun. */
  wait(): Promise<void> | undefined {
    const now = performance.now();
    const left = this.#began + this.#milliseconds - now;
    if (left < 0.5) {
      this.#began = now;
      return undefined;
    }
    this.#began = now + left;
    return new Promise((resolve) => setTimeout(resolve, left));
  }
}
