/**
 * A consumer of an incoming log at the server: the frames from one sequence on, for as long as the log is the one that it
 * was.
 *
 * Side effects: an ordered consumer at the server, deleted in the end, or forgotten there when nobody uses it. Tells its
 * reader, and throws nothing.
 */
import { randomUUID } from 'node:crypto';
import {
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamManager,
  jetstreamManager,
} from '@nats-io/jetstream';
import type { Nats } from '../../lib/server/stores.ts';

/** Who reads it. */
export interface LogReader {
  /** The next sequence that it has not. */
  readonly next: number;
  /** It has as much as it may have: nothing more is to come before `makeRoom`. */
  readonly full: boolean;
  /** Frames come in the order of the log; some may have come otherwise before. */
  read(sequence: number, bytes: Buffer): void;
  end(error: Error): void;
}

/** Octets on the way from the server. */
const UNDER_WAY = 8 * 1024 * 1024;
/** Milliseconds that the server has for an answer: a question that is lost with its connection ends the reading after them. */
const ANSWER_TIMEOUT = 2000;

export class LogConsumer {
  readonly #nats: Nats;
  readonly #stream: string;
  readonly #reader: LogReader;
  #open = true;
  #room: (() => void) | undefined;
  #consumer: Consumer | undefined;
  #messages: ConsumerMessages | undefined;

  constructor(nats: Nats, stream: string, reader: LogReader) {
    this.#nats = nats;
    this.#stream = stream;
    this.#reader = reader;
  }

  /**
   * Asks for all from the reader's next frame on. Resolves to the stream's time of creation, when the server has taken the
   * question or `close` was called. `created`: what that must be, where it is known.
   */
  async start(created?: string): Promise<string | undefined> {
    try {
      const manager = await jetstreamManager(this.#nats.connection, { checkAPI: false, timeout: ANSWER_TIMEOUT });
      const found = await this.#check(manager, created);
      if (this.#open) await this.#consume(manager, found);
      return found;
    } catch (error) {
      this.#end(error);
      return undefined;
    }
  }

  /** Resolves to the stream's time of creation; rejects where this is not the log that was read before. */
  async #check(manager: JetStreamManager, known?: string): Promise<string> {
    // Frames that come by hand while the server answers are none that it must have had.
    const { next } = this.#reader;
    const { created, state } = await manager.streams.info(this.#stream);
    if (created !== (known ?? created) || state.last_seq + 1 < next)
      throw new Error(`${this.#stream} is not the stream that was read before`);
    return created;
  }

  async #consume(manager: JetStreamManager, created: string): Promise<void> {
    const consumer = await manager.jetstream().consumers.get(this.#stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.#reader.next,
      // A name of its own: the consumer of an owner that was killed lives on for minutes, and would refuse this one.
      name_prefix: `qmgr_${this.#stream}_${randomUUID()}`,
    });
    // A server that was killed and came back knows nothing of this consumer; its silence is noticed after two beats.
    const messages = await consumer.consume({ max_bytes: UNDER_WAY, expires: 5000, idle_heartbeat: 1000 });
    this.#consumer = consumer;
    this.#messages = messages;
    if (!this.#open) {
      await this.close();
      return;
    }
    void this.#pump(messages);
    void this.#watch(manager, messages, created);
  }

  async #pump(messages: ConsumerMessages): Promise<void> {
    try {
      for await (const { seq, data } of messages) {
        if (!this.#open) return;
        this.#reader.read(seq, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
        while (this.#open && this.#reader.full) await new Promise<void>((resolve) => (this.#room = resolve));
      }
      this.#end(new Error(`${this.#stream}: the consumer ended`));
    } catch (error) {
      this.#end(error);
    }
  }

  /** The client library makes a consumer anew that the server has lost, be it of another log under the same name. */
  async #watch(manager: JetStreamManager, messages: ConsumerMessages, created: string): Promise<void> {
    try {
      for await (const { type } of messages.status())
        if (type === 'ordered_consumer_recreated') await this.#check(manager, created);
    } catch (error) {
      this.#end(error);
    }
  }

  #end(error: unknown): void {
    if (this.#open) this.#reader.end(error instanceof Error ? error : new Error(String(error)));
  }

  makeRoom(): void {
    this.#room?.();
  }

  /** From the call on, nothing more is read. Never rejects. */
  async close(): Promise<void> {
    this.#open = false;
    this.makeRoom();
    await this.#messages?.close().catch(() => undefined);
    // One that cannot be deleted ends by itself, unused; nobody waits for a server that may be away.
    this.#consumer?.delete().catch(() => undefined);
  }
}
