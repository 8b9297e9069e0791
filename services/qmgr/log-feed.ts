/**
 * The frames of a shard's incoming log, in order, from a sequence on, as fast as they come and as slowly as they are
 * taken: what is read ahead is bounded in octets.
 *
 * They come from the server through a consumer, or by hand from who wrote them in this process (written-frames.ts). While
 * those come by hand in unbroken order, the server is not asked; with a gap, or when none has come for a moment, it is
 * again. docs/adr/0009-frames-by-hand.md.
 *
 * Throws what the server says, and where the log is not the one that was read before; whoever reads begins again from what
 * is applied.
 */
import { randomUUID } from 'node:crypto';
import { type ConsumerMessages, DeliverPolicy, jetstreamManager } from '@nats-io/jetstream';
import type { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Nats } from '../../lib/server/stores.ts';
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
}

/** Octets read ahead of the reader. */
const READ_AHEAD = 8 * 1024 * 1024;
/** Frames that must have come by hand, one after the other, before the server is asked no more: at first, and at most. */
const RUN = 16;
const RUN_LIMIT = 1024;
/** Milliseconds without a frame by hand after which the server is asked again, and the same where one is missing. */
const QUIET = 50;
const GAP = 5;
/** Milliseconds that the server has for an answer: a question that is lost with its connection ends the feed after them. */
const ANSWER_TIMEOUT = 2000;

/** A consumer of the log at the server, while it is read from there. */
interface Following {
  close(): Promise<void>;
}

export class LogFeed implements AsyncDisposable {
  readonly #options: LogFeedOptions;
  readonly #listening: Disposable;
  #frames: LogFrame[] = [];
  #octets = 0;
  /** The sequence of the next frame, where none was removed from the log. */
  #next: number;
  #wake: (() => void) | undefined;
  #room: (() => void) | undefined;
  #ended: Error | true | undefined;
  /** Undefined while all comes by hand. */
  #following: Promise<Following> | undefined;
  #created: string | undefined;

  /** Frames that came by hand and whose predecessors have not come. */
  readonly #early = new Map<number, Buffer>();
  #byHandAt = 0;
  readonly #run = new UnbrokenRun();
  #runWanted = RUN;
  #watch: NodeJS.Timeout | undefined;

  private constructor(options: LogFeedOptions) {
    this.#options = options;
    this.#next = options.from;
    // One listener for the feed's life: one for each wait would stay with the signal as long as the shard is ours.
    options.signal.addEventListener('abort', this.#ring, { once: true });
    this.#listening = options.written.listen(options.stream, (frame) => this.#byHand(frame.sequence, frame.bytes));
  }

  readonly #ring = (): void => this.#wake?.();

  /** Reads `stream` from sequence `from` on, until `signal`. */
  static async open(options: LogFeedOptions): Promise<LogFeed> {
    const feed = new LogFeed(options);
    try {
      feed.#following = feed.#follow();
      await feed.#following;
    } catch (error) {
      await feed[Symbol.asyncDispose]();
      throw error;
    }
    return feed;
  }

  /** Asks the server for all from the next frame on. */
  async #follow(): Promise<Following> {
    const { nats, stream } = this.#options;
    const manager = await jetstreamManager(nats.connection, { checkAPI: false, timeout: ANSWER_TIMEOUT });
    const { created, state } = await manager.streams.info(stream);
    this.#created ??= created;
    if (created !== this.#created || state.last_seq + 1 < this.#next)
      throw new Error(`${stream} is not the stream that was read before`);
    const consumer = await manager.jetstream().consumers.get(stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.#next,
      // A name of its own: the consumer of an owner that was killed lives on for minutes, and would refuse this one.
      name_prefix: `qmgr_${stream}_${randomUUID()}`,
    });
    // A server that was killed and came back knows nothing of this consumer; its silence is noticed after two beats.
    const messages = await consumer.consume({ max_bytes: READ_AHEAD, expires: 5000, idle_heartbeat: 1000 });
    const following = {
      open: true,
      async close() {
        following.open = false;
        await messages.close();
        await consumer.delete();
      },
    };
    void this.#pump(messages, following);
    return following;
  }

  async #pump(messages: ConsumerMessages, following: { readonly open: boolean }): Promise<void> {
    try {
      for await (const message of messages) {
        if (!following.open) return;
        if (message.seq >= this.#next) {
          this.#accept(message.seq, Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength));
          this.#acceptEarly();
        }
        if (this.#octets >= READ_AHEAD) await new Promise<void>((resolve) => (this.#room = resolve));
      }
      if (following.open) this.#end(true);
    } catch (error) {
      if (following.open) this.#end(error);
    }
  }

  #end(why: unknown): void {
    this.#ended ??= why === true || why instanceof Error ? why : new Error(String(why));
    this.#ring();
  }

  #accept(sequence: number, bytes: Buffer): void {
    this.#dropEarly(sequence);
    this.#frames.push({ sequence, bytes });
    this.#octets += bytes.length;
    this.#next = sequence + 1;
    this.#ring();
  }

  #acceptEarly(): void {
    for (let bytes = this.#early.get(this.#next); bytes !== undefined; bytes = this.#early.get(this.#next))
      this.#accept(this.#next, bytes);
  }

  #dropEarly(sequence: number): void {
    this.#octets -= this.#early.get(sequence)?.length ?? 0;
    this.#early.delete(sequence);
  }

  #byHand(sequence: number, bytes: Buffer): void {
    const now = performance.now();
    this.#byHandAt = now;
    this.#run.add(sequence, now);
    if (sequence < this.#next) {
      // The server had sent it before. Where that is not asked, this is another log, or nearly as odd: it tells.
      if (this.#following === undefined) this.#comeBack();
    } else if (this.#octets < READ_AHEAD) {
      // What finds no room is read from the log when there is.
      if (sequence === this.#next) {
        this.#accept(sequence, bytes);
        this.#acceptEarly();
      } else {
        this.#early.set(sequence, bytes);
        this.#octets += bytes.length;
      }
    }
    const { length, last } = this.#run;
    if (this.#following !== undefined && length >= this.#runWanted && last < this.#next) this.#leave();
  }

  /** All comes by hand: the server need not send it as well. */
  #leave(): void {
    const following = this.#following;
    this.#following = undefined;
    // One that cannot be deleted ends by itself, unused.
    following?.then((one) => one.close()).catch(() => undefined);
    let gapSince = 0;
    this.#watch = setInterval(() => {
      const now = performance.now();
      const missing = this.#early.size > 0;
      if (!missing) gapSince = 0;
      else if (gapSince === 0) gapSince = now;
      const quiet = now - this.#byHandAt > QUIET;
      if (!quiet && !(missing && now - gapSince > GAP)) return;
      if (missing)
        this.#runWanted = this.#run.length >= 4 * this.#runWanted ? RUN : Math.min(this.#runWanted * 2, RUN_LIMIT);
      this.#comeBack();
    }, GAP);
  }

  #comeBack(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#run.end();
    for (const sequence of [...this.#early.keys()]) this.#dropEarly(sequence);
    this.#following = this.#follow();
    this.#following.catch((error: unknown) => this.#end(error));
  }

  /** What has come, at least one frame; undefined when the feed or its signal ended. Throws what ended it. */
  async take(): Promise<LogFrame[] | undefined> {
    while (this.#frames.length === 0) {
      if (this.#ended instanceof Error) throw this.#ended;
      if (this.#ended === true || this.#options.signal.aborted) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const frames = this.#frames;
    this.#frames = [];
    for (const { bytes } of frames) this.#octets -= bytes.length;
    this.#room?.();
    this.#room = undefined;
    return frames;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.signal.removeEventListener('abort', this.#ring);
    this.#listening[Symbol.dispose]();
    clearInterval(this.#watch);
    this.#room?.();
    const following = await this.#following?.catch(() => undefined);
    await following?.close().catch(() => undefined);
  }
}
