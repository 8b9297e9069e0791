/**
 * Message content on its way to cleanup(8) while it still comes in: a bounded queue of pieces between a socket and an
 * async iteration. The writer stops reading from its socket while `full`, and goes on when `onDrain` is called.
 */

/** Bytes that may wait. */
const HIGH_WATER = 512 * 1024;
/** Bytes that a piece counts for at least: one that holds a single byte takes more than that. */
const LEAST = 256;

export class ContentStream implements AsyncIterable<Buffer> {
  readonly #pieces: Buffer[] = [];
  readonly #onDrain: () => void;
  #waiting = 0;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #wasFull = false;

  constructor(onDrain: () => void) {
    this.#onDrain = onDrain;
  }

  get full(): boolean {
    return this.#waiting >= HIGH_WATER;
  }

  push(piece: Buffer): void {
    if (this.#ended || this.#error !== undefined) return;
    this.#pieces.push(piece);
    this.#waiting += Math.max(piece.length, LEAST);
    if (this.full) this.#wasFull = true;
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** The iteration throws: nothing may be made of what was read. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#pieces.length = 0;
    this.#waiting = 0;
    this.#notify();
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  #drained(): void {
    if (!this.#wasFull || this.#waiting > HIGH_WATER / 2) return;
    this.#wasFull = false;
    this.#onDrain();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        if (this.#error !== undefined) throw this.#error;
        if (this.#pieces.length > 0) {
          const batch = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
          this.#pieces.length = 0;
          this.#waiting = 0;
          yield batch;
          this.#drained();
          continue;
        }
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.release();
    }
  }

  /** Nobody reads on: what comes is dropped, and the writer does not wait. */
  release(): void {
    this.#ended = true;
    this.#pieces.length = 0;
    this.#waiting = 0;
    this.#drained();
  }
}
