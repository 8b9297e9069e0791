/**
 * The frames of a shard's incoming log, in order, from a sequence on, as fast as they come and as slowly as they are
 * taken: what is read ahead is bounded in octets.
 *
 * Throws what the server says; whoever reads begins again from what is applied.
 */
import { randomUUID } from 'node:crypto';
import { DeliverPolicy, type JsMsg } from '@nats-io/jetstream';
import type { Nats } from '../../lib/server/stores.ts';

export interface LogFrame {
  readonly sequence: number;
  readonly bytes: Buffer;
}

/** Octets read ahead of the reader. */
const READ_AHEAD = 8 * 1024 * 1024;

export class LogFeed implements AsyncDisposable {
  #frames: LogFrame[] = [];
  #octets = 0;
  #wake: (() => void) | undefined;
  #room: (() => void) | undefined;
  #ended: Error | true | undefined;
  #close: () => Promise<unknown> = async () => undefined;

  readonly #signal: AbortSignal;

  private constructor(signal: AbortSignal) {
    this.#signal = signal;
    // One listener for the feed's life: one for each wait would stay with the signal as long as the shard is ours.
    signal.addEventListener('abort', this.#ring, { once: true });
  }

  readonly #ring = (): void => this.#wake?.();

  /** Reads `stream` from sequence `from` on, until `signal`. */
  static async open(nats: Nats, stream: string, from: number, signal: AbortSignal): Promise<LogFeed> {
    const feed = new LogFeed(signal);
    const consumer = await nats.jetstream.consumers.get(stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: from,
      // A name of its own: the consumer of an owner that was killed lives on for minutes, and would refuse this one.
      name_prefix: `qmgr_${stream}_${randomUUID()}`,
    });
    // A server that was killed and came back knows nothing of this consumer; its silence is noticed after two beats.
    const messages = await consumer.consume({ max_bytes: READ_AHEAD, expires: 5000, idle_heartbeat: 1000 });
    feed.#close = () => messages.close();
    void feed.#pump(messages);
    return feed;
  }

  async #pump(messages: AsyncIterable<JsMsg>): Promise<void> {
    try {
      for await (const message of messages) {
        const bytes = Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength);
        this.#frames.push({ sequence: message.seq, bytes });
        this.#octets += bytes.length;
        this.#ring();
        if (this.#octets >= READ_AHEAD) await new Promise<void>((resolve) => (this.#room = resolve));
      }
      this.#ended = true;
    } catch (error) {
      this.#ended = error instanceof Error ? error : new Error(String(error));
    }
    this.#ring();
  }

  /** What has come, at least one frame; undefined when the feed or its signal ended. Throws what ended it. */
  async take(): Promise<LogFrame[] | undefined> {
    while (this.#frames.length === 0) {
      if (this.#ended instanceof Error) throw this.#ended;
      if (this.#ended === true || this.#signal.aborted) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const frames = this.#frames;
    this.#frames = [];
    this.#octets = 0;
    this.#room?.();
    this.#room = undefined;
    return frames;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#ring);
    this.#room?.();
    await this.#close();
  }
}
