/**
 * The frames of a shard's incoming log, in order, from a sequence on, as fast as they come and as slowly as they are
 * taken: what is read ahead is bounded in octets.
 *
 * They come from the server (log-consumer.ts), or by hand from who wrote them in this process (written-frames.ts). While they
 * come by hand in unbroken order, the server is not asked; with a gap, or when none has come for a moment, it is again.
 * docs/adr/0009-frames-by-hand.md.
 *
 * Throws what the server says, and where the log is not the one that was read before; whoever reads begins again from what
 * is applied.
 */
import type { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Nats } from '../../lib/server/stores.ts';
import { LogConsumer, type LogReader } from './log-consumer.ts';
import { UnbrokenRun } from './unbroken-run.ts';

export interface LogFrame {
  readonly sequence: number;
  readonly bytes: Buffer;
}

export interface LogFeedOptions {
  readonly nats: Nats;
  readonly stream: string;
  /** The first sequence that is wanted. */
  readonly from: number;
  readonly written: WrittenFrames;
  readonly signal: AbortSignal;
  /** Octets read ahead of the reader. */
  readonly readAhead?: number;
  /** Milliseconds without a frame by hand after which the server is asked again. */
  readonly quiet?: number;
}

const READ_AHEAD = 8 * 1024 * 1024;
const QUIET = 50;
/** Milliseconds that a missing frame has to come by hand, when a later one has. */
const GAP = 5;
/** Frames that must have come by hand, one after the other, before the server is asked no more: at first, and at most. */
const RUN = 16;
const RUN_LIMIT = 1024;
/** A time without the server that was shorter than this, in milliseconds, was hardly worth its questions. */
const WORTH = 1000;

export class LogFeed implements AsyncDisposable {
  readonly #options: LogFeedOptions;
  readonly #listening: Disposable;
  readonly #readAhead: number;
  readonly #quiet: number;
  readonly #reader: LogReader;
  #frames: LogFrame[] = [];
  #octets = 0;
  /** The sequence of the next frame, where none was removed from the log. */
  #next: number;
  #wake: (() => void) | undefined;
  #error: Error | undefined;
  /** Undefined while all comes by hand. */
  #consumer: LogConsumer | undefined;
  #created: string | undefined;

  /** Frames that came by hand and whose predecessors have not come. */
  readonly #early = new Map<number, Buffer>();
  #earlyOctets = 0;
  #byHandAt = 0;
  readonly #run: UnbrokenRun;
  #runWanted = RUN;
  #leftAt = 0;
  #watch: NodeJS.Timeout | undefined;

  private constructor(options: LogFeedOptions) {
    this.#options = options;
    this.#readAhead = options.readAhead ?? READ_AHEAD;
    this.#quiet = options.quiet ?? QUIET;
    this.#next = options.from;
    this.#run = new UnbrokenRun(this.#quiet / 2);
    const feed = this;
    this.#reader = {
      get next() {
        return feed.#next;
      },
      get full() {
        return feed.#isFull;
      },
      read: (sequence, bytes) => this.#fromServer(sequence, bytes),
      end: (error) => this.#end(error),
    };
    // One listener for the feed's life: one for each wait would stay with the signal as long as the shard is ours.
    options.signal.addEventListener('abort', this.#ring, { once: true });
    this.#listening = options.written.listen(options.stream, (frame) => this.#byHand(frame.sequence, frame.bytes));
  }

  readonly #ring = (): void => this.#wake?.();

  /** Reads `stream` from sequence `from` on, until `signal`. What fails is thrown by `take`. */
  static async open(options: LogFeedOptions): Promise<LogFeed> {
    const feed = new LogFeed(options);
    await feed.#ask();
    return feed;
  }

  /** Asks the server for all from the next frame on. */
  async #ask(): Promise<void> {
    const { nats, stream } = this.#options;
    const consumer = new LogConsumer(nats, stream, this.#reader);
    this.#consumer = consumer;
    const created = await consumer.start(this.#created);
    this.#created ??= created;
  }

  /** A reader that has nothing at hand takes a frame of any size. */
  get #isFull(): boolean {
    return this.#frames.length > 0 && this.#octets >= this.#readAhead;
  }

  #end(error: Error): void {
    this.#error ??= error;
    this.#ring();
  }

  #fromServer(sequence: number, bytes: Buffer): void {
    if (sequence < this.#next) return;
    this.#accept(sequence, bytes);
    this.#acceptEarly();
  }

  #accept(sequence: number, bytes: Buffer): void {
    this.#frames.push({ sequence, bytes });
    this.#octets += bytes.length;
    this.#next = sequence + 1;
    if (this.#early.size > 0) this.#dropEarly(sequence);
    this.#ring();
  }

  #acceptEarly(): void {
    for (let bytes = this.#early.get(this.#next); bytes !== undefined; bytes = this.#early.get(this.#next))
      this.#accept(this.#next, bytes);
  }

  #dropEarly(upTo: number): void {
    for (const [sequence, bytes] of this.#early) {
      if (sequence > upTo) continue;
      this.#early.delete(sequence);
      this.#earlyOctets -= bytes.length;
    }
  }

  #byHand(sequence: number, bytes: Buffer): void {
    this.#byHandAt = performance.now();
    this.#run.add(sequence, this.#byHandAt);
    if (sequence < this.#next) {
      // Where the server is asked, it was the faster one. Else a writer told late, or the log is another one: the server knows.
      if (this.#consumer === undefined) this.#comeBack();
    } else if (sequence === this.#next) {
      // What finds no room, here and below, is read from the log when there is.
      if (!this.#isFull) {
        this.#accept(sequence, bytes);
        this.#acceptEarly();
      }
    } else if (this.#earlyOctets < this.#readAhead && !this.#early.has(sequence)) {
      this.#early.set(sequence, bytes);
      this.#earlyOctets += bytes.length;
    }
    const { length, last } = this.#run;
    if (this.#consumer !== undefined && length >= this.#runWanted && last < this.#next) this.#leave();
  }

  /** All comes by hand: the server need not send it as well. */
  #leave(): void {
    void this.#consumer?.close();
    this.#consumer = undefined;
    this.#leftAt = performance.now();
    let missing = 0;
    let missingSince = 0;
    this.#watch = setInterval(() => {
      const now = performance.now();
      if (this.#early.size === 0 || missing !== this.#next) {
        missing = this.#next;
        missingSince = now;
      }
      if (now - this.#byHandAt > this.#quiet || now - missingSince > GAP) this.#comeBack();
    }, GAP);
  }

  #comeBack(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
    const wasWorthIt = performance.now() - this.#leftAt >= WORTH;
    this.#runWanted = wasWorthIt ? RUN : Math.min(this.#runWanted * 2, RUN_LIMIT);
    this.#run.end();
    this.#dropEarly(Number.POSITIVE_INFINITY);
    void this.#ask();
  }

  /** What has come, at least one frame; undefined when the signal ended. Throws what ended it otherwise. */
  async take(): Promise<LogFrame[] | undefined> {
    while (this.#frames.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#options.signal.aborted) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const frames = this.#frames;
    this.#frames = [];
    this.#octets = 0;
    this.#consumer?.makeRoom();
    return frames;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#ring);
    this.#listening[Symbol.dispose]();
    clearInterval(this.#watch);
    await this.#consumer?.close();
  }
}
