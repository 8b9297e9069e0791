/**
 * One publish to a log and what can be said of it afterwards. Whoever writes to a subject of its own, one message at a
 * time and with the last sequence it expects there, can always find out whether a message is in the stream: when the
 * answer does not come, a fence is published that expects the same sequence there. Fence accepted: the message is not there and
 * never will be. "Wrong last sequence": the last message on the subject tells which of the two it is.
 *
 * Who has been the only writer of the whole log for a while expects its last sequence instead, which the server knows without
 * reading the last message of the subject; a block that is read it keeps in memory for ten seconds. In the life of one log
 * that is no less certain: behind a fence the sequence is another one. Refused, it is offered again with that of the subject.
 * docs/adr/0009-frames-by-hand.md.
 *
 * Logs nothing; never throws for what the server says.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { isFence } from './frame.ts';
import { type ExpectedSequence, publish } from './publish.ts';

export type AppendOutcome =
  | { readonly kind: 'stored'; readonly sequence: number }
  /** It is not in the stream and never will be. */
  | { readonly kind: 'refused'; readonly noSpace: boolean; readonly reason: string };

/** Server errors that mean "no room": resources or storage exceeded, stream limits reached. */
const NO_SPACE = new Set([10023, 10028, 10047, 10054, 10064, 10077, 10093]);
const WRONG_LAST_SEQUENCE = new Set([10071, 10164]);
const NO_MESSAGE = 10037;

export interface AppenderOptions {
  readonly connection: NatsConnection;
  readonly manager: JetStreamManager;
  readonly stream: string;
  readonly subject: string;
  /** Milliseconds until an answer counts as lost. */
  readonly answerTimeout: number;
  /** A frame that takes the place of one of unknown fate (`encodeFence`), another one each time. */
  readonly makeFence: () => Buffer;
  readonly signal: AbortSignal;
}

/** Messages of ours, one right behind the other, after which we count as the only writer: at first, and at most. */
const ALONE = 8;
const ALONE_LIMIT = 1024;
/** How many times as many make that a good guess, to be made as early the next time. */
const WORTH = 4;

/** Appends messages to one subject, one at a time. */
export class Appender {
  readonly #options: AppenderOptions;
  /** Sequence of the last message on the subject; undefined when it has to be asked. */
  #last: number | undefined = 0;
  /** Messages since one of another writer came between. */
  #inARow = 0;
  #aloneAfter = ALONE;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /** The last message on the subject, from the stream's leader: a replica could lag. */
  async #lastOnSubject(): Promise<{ sequence: number; data: Buffer } | undefined> {
    const { manager, stream, subject } = this.#options;
    try {
      const message = await manager.streams.getMessage(stream, { last_by_subj: subject });
      return message === null ? undefined : { sequence: message.seq, data: Buffer.from(message.data) };
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === NO_MESSAGE) return undefined;
      throw error;
    }
  }

  /** Undefined: no answer came, or none that says what became of the message. */
  async #publish(
    bytes: Buffer,
    expected: ExpectedSequence,
  ): Promise<AppendOutcome | 'wrong-last-sequence' | undefined> {
    const { connection, subject, stream, answerTimeout } = this.#options;
    try {
      const sequence = await publish(connection, subject, bytes, { stream, ...expected }, answerTimeout);
      return { kind: 'stored', sequence };
    } catch (error) {
      if (!(error instanceof JetStreamApiError)) return undefined;
      if (WRONG_LAST_SEQUENCE.has(error.code)) return 'wrong-last-sequence';
      if (NO_SPACE.has(error.code)) return { kind: 'refused', noSpace: true, reason: error.message };
      // An error of the server may also come after the message was written somewhere; the fence finds out.
      return undefined;
    }
  }

  /**
   * Appends `bytes`, which must not have been given before. Resolves only when the outcome is certain, however long the
   * server is away; rejects only when `signal` is aborted before that.
   */
  async append(bytes: Buffer): Promise<AppendOutcome> {
    this.#last ??= await this.#retry(async () => (await this.#lastOnSubject())?.sequence ?? 0);
    if (this.#inARow >= this.#aloneAfter) {
      const outcome = await this.#publish(bytes, { lastSequence: this.#last });
      if (outcome !== 'wrong-last-sequence') return this.#settle(bytes, outcome);
      // Soon refused, it was not worth a question more: the next time is later.
      const wasWorthIt = this.#inARow >= WORTH * this.#aloneAfter;
      this.#aloneAfter = wasWorthIt ? ALONE : Math.min(2 * this.#aloneAfter, ALONE_LIMIT);
      this.#inARow = 0;
    }
    const first = await this.#publish(bytes, { lastSubjectSequence: this.#last });
    if (first === 'wrong-last-sequence') {
      // Refused for good: after a purge the subject's sequence counts from 0 again, so ask and offer it once more.
      this.#last = await this.#retry(async () => (await this.#lastOnSubject())?.sequence ?? 0);
      const second = await this.#publish(bytes, { lastSubjectSequence: this.#last });
      if (second === 'wrong-last-sequence') {
        this.#last = undefined;
        return { kind: 'refused', noSpace: false, reason: 'another writer uses the same subject' };
      }
      return this.#settle(bytes, second);
    }
    return this.#settle(bytes, first);
  }

  async #settle(bytes: Buffer, outcome: AppendOutcome | undefined): Promise<AppendOutcome> {
    const known = outcome ?? (await this.#retry(() => this.#fence(bytes)));
    if (known.kind === 'stored') {
      this.#inARow = known.sequence === (this.#last ?? 0) + 1 ? this.#inARow + 1 : 0;
      this.#last = known.sequence;
    }
    return known;
  }

  /** Publishes a fence and reads what it tells; throws when that did not come to an end. */
  async #fence(bytes: Buffer): Promise<AppendOutcome> {
    const expected = this.#last ?? 0;
    const fenced = await this.#publish(this.#options.makeFence(), { lastSubjectSequence: expected });
    if (fenced === undefined || (fenced !== 'wrong-last-sequence' && fenced.kind === 'refused')) {
      throw new Error('the fence has no answer');
    }
    if (fenced !== 'wrong-last-sequence') {
      this.#last = fenced.sequence;
      return { kind: 'refused', noSpace: false, reason: 'the log did not answer; the message was fenced off' };
    }
    const last = await this.#lastOnSubject();
    if (last === undefined) {
      // Purged meanwhile: only what was applied is purged, and what is not there was never stored. An empty subject
      // expects 0.
      if (expected === 0) throw new Error('the subject is empty and yet refuses 0');
      this.#last = 0;
      return this.#fence(bytes);
    }
    // A proposal that is not decided refuses the fence too, and what it comes to is not there to be read.
    if (last.sequence === expected) throw new Error('something on the subject is under way');
    this.#last = last.sequence;
    if (last.data.equals(bytes)) return { kind: 'stored', sequence: last.sequence };
    if (isFence(last.data)) {
      return { kind: 'refused', noSpace: false, reason: 'the log did not answer; the message was fenced off' };
    }
    return { kind: 'refused', noSpace: false, reason: 'another writer uses the same subject' };
  }

  async #retry<T>(attempt: () => Promise<T>): Promise<T> {
    for (let wait = 50; ; wait = Math.min(wait * 2, 1000)) {
      this.#options.signal.throwIfAborted();
      try {
        return await attempt();
      } catch {
        await delay(wait, undefined, { signal: this.#options.signal });
      }
    }
  }
}
