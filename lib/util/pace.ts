/**
 * Keeps a busy loop of batches from running with batches of one: a round begins no sooner than `milliseconds` after the
 * one before began. The first after a pause begins at once, so that an idle service adds no delay; one that has all that it
 * could wait for is begun before its time.
 */
export class Pace {
  readonly #milliseconds: number;
  #began = Number.NEGATIVE_INFINITY;
  #hurry: (() => void) | undefined;

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds;
  }

  /** Undefined where the round may begin at once. Counts the round as begun when its time has come. */
  wait(): Promise<void> | undefined {
    const now = performance.now();
    const left = this.#began + this.#milliseconds - now;
    this.#began = now;
    if (left < 0.5) return undefined;
    this.#began = now + left;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#hurry = undefined;
        resolve();
      }, left);
      this.#hurry = () => {
        clearTimeout(timer);
        this.#hurry = undefined;
        this.#began = performance.now();
        resolve();
      };
    });
  }

  /** The round that waits begins now; without one, the next begins when it is asked for. */
  hurry(): void {
    if (this.#hurry === undefined) this.#began = Number.NEGATIVE_INFINITY;
    else this.#hurry();
  }
}
