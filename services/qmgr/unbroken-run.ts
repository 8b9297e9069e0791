/**
 * How many frames of a log have come by hand with none missing between them (written-frames.ts). Several writers may tell
 * of theirs in another order than the log has; what is missing for longer, or a pause, begins another run.
 */

/** Frames that may be ahead of one that is missing. */
const AHEAD = 64;

export class UnbrokenRun {
  /** The last sequence of the run. */
  last = 0;
  length = 0;
  readonly #ahead = new Set<number>();
  readonly #pause: number;
  #at = Number.NEGATIVE_INFINITY;

  /** `pause`: milliseconds after which what comes is another run. */
  constructor(pause: number) {
    this.#pause = pause;
  }

  /** A frame has come; `now` in milliseconds. */
  add(sequence: number, now: number): void {
    const silence = now - this.#at;
    this.#at = now;
    if (silence > this.#pause || this.#ahead.size >= AHEAD) {
      this.#ahead.clear();
      this.last = sequence;
      this.length = 1;
    } else if (sequence > this.last) {
      this.#ahead.add(sequence);
      while (this.#ahead.delete(this.last + 1)) {
        this.last += 1;
        this.length += 1;
      }
    }
  }

  /** What comes next is another run. */
  end(): void {
    this.#at = Number.NEGATIVE_INFINITY;
    this.length = 0;
  }
}
