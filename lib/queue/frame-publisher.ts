/**
 * Group commit: every entry that arrives while a frame is being written becomes part of the next frame. An idle log
 * answers at once; a busy one writes a frame every few milliseconds, or as soon as half of the clients that are active wait
 * for it (the other half has its turn while this one is written), and pays one fsync for all that is in it. One frame of a
 * shard is under way at a time.
 *
 * `append` resolves when the entry is on disk, or with the certainty that it is not and never will be, or, after
 * `decisionTimeout`, with "unknown". Logs a warning when the log begins not to answer, once.
 */
import { randomBytes } from 'node:crypto';
import type { Histogram } from 'prom-client';
import type { Nats } from '../server/stores.ts';
import type { Log } from '../util/log.ts';
import { Pace } from '../util/pace.ts';
import { Appender } from './append.ts';
import { encodeFence, encodeFrame, entryLength, FRAME_HEADER_LENGTH, type NewFrameEntry } from './frame.ts';
import { incomingStream, incomingSubject } from './streams.ts';
import type { WrittenFrames } from './written-frames.ts';

export type PublishOutcome =
  | { readonly kind: 'stored'; readonly sequence: number; readonly entry: number }
  | { readonly kind: 'refused'; readonly noSpace: boolean; readonly reason: string }
  | { readonly kind: 'unknown' };

interface Waiting extends NewFrameEntry {
  readonly deadline: number;
  settle(outcome: PublishOutcome): void;
}

export interface FramePublisherOptions {
  readonly nats: Nats;
  readonly shard: number;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Milliseconds after which a waiting entry is given up: refused where it was not sent, unknown where it was. */
  readonly decisionTimeout?: number;
  readonly answerTimeout?: number;
  readonly commitBatch?: Histogram<'commit'>;
  readonly commitSeconds?: Histogram<'commit'>;
  /** Who is told of each frame that is on disk. */
  readonly written?: WrittenFrames;
  /** Other logs than the incoming one. */
  readonly stream?: string;
  readonly subject?: (shard: number, writer: string) => string;
}

/** Room that a frame leaves below the server's max_payload, for the headers of the publish. */
const PAYLOAD_RESERVE = 64 * 1024;
/** Milliseconds between two frames of a busy log: each costs the same whatever it holds (docs/adr/0005-pace.md). */
const PACE = 10;
/** Entries that may wait for a log that does not answer. */
const WAITING_LIMIT = 20_000;

export class FramePublisher {
  readonly #options: FramePublisherOptions;
  readonly #appender: Appender;
  readonly #stream: string;
  readonly #writer = randomBytes(4).readUInt32BE();
  readonly #decisionTimeout: number;
  /** Octets of entries that one frame holds at most. */
  readonly maxEntryBytes: number;
  readonly #pace = new Pace(PACE);
  #counter = 0;
  #waiting: Waiting[] = [];
  /** Clients that may have something for this log, as who submits last says; 0 where nobody knows. */
  #activeClients = 0;
  #running: Promise<void> | undefined;
  #silent = false;

  constructor(options: FramePublisherOptions) {
    const {
      nats,
      shard,
      signal,
      answerTimeout = 5000,
      subject = incomingSubject,
      stream = incomingStream(shard),
    } = options;
    this.#options = options;
    this.#stream = stream;
    this.#decisionTimeout = options.decisionTimeout ?? 20_000;
    this.maxEntryBytes = (nats.connection.info?.max_payload ?? 1024 * 1024) - PAYLOAD_RESERVE - FRAME_HEADER_LENGTH;
    this.#appender = new Appender({
      connection: nats.connection,
      manager: nats.manager,
      stream,
      // 128 random bits: a subject is one writer's for as long as it lives.
      subject: subject(shard, randomBytes(16).toString('hex')),
      answerTimeout,
      makeFence: () => encodeFence(this.#writer, this.#nextCounter()).bytes,
      signal,
    });
  }

  #nextCounter(): number {
    this.#counter = (this.#counter + 1) >>> 0;
    return this.#counter;
  }

  /** The entry must fit `maxEntryBytes`. `activeClients`: see SubmitRequest. */
  append(envelope: Buffer, content: readonly Buffer[], activeClients = 0): Promise<PublishOutcome> {
    if (this.#waiting.length >= WAITING_LIMIT) {
      return Promise.resolve({
        kind: 'refused',
        noSpace: false,
        reason: 'too many messages wait for the incoming log',
      });
    }
    const { promise, resolve } = Promise.withResolvers<PublishOutcome>();
    this.#waiting.push({ envelope, content, deadline: Date.now() + this.#decisionTimeout, settle: resolve });
    this.#activeClients = activeClients;
    if (this.#hasEnough()) this.#pace.hurry();
    // What else arrives in this turn of the event loop shares the frame.
    this.#running ??= new Promise<void>((start) => setImmediate(start)).then(() => this.#run());
    return promise;
  }

  #hasEnough(): boolean {
    return this.#activeClients > 0 && this.#waiting.length * 2 >= this.#activeClients;
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        await this.#pace.wait();
        await this.#commit(this.#take());
      }
    } finally {
      this.#running = undefined;
    }
  }

  /** The entries of the next frame: as many as fit. */
  #take(): Waiting[] {
    let length = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      length += entryLength(waiting);
      if (count > 0 && length > this.maxEntryBytes) break;
      count++;
    }
    return count === this.#waiting.length ? this.#waiting.splice(0) : this.#waiting.splice(0, count);
  }

  async #commit(batch: Waiting[]): Promise<void> {
    const began = performance.now();
    const { bytes } = encodeFrame(batch, this.#writer, this.#nextCounter());
    // While the log is silent the clients cannot wait for ever: their answer is then "unknown" for what was sent, and a
    // plain refusal for what still waits.
    const watchdog = setInterval(() => this.#expire(batch), 500);
    try {
      const outcome = await this.#appender.append(bytes);
      if (this.#silent) this.#options.log.info('the log answers again');
      this.#silent = false;
      batch.forEach((waiting, entry) => {
        waiting.settle(outcome.kind === 'stored' ? { kind: 'stored', sequence: outcome.sequence, entry } : outcome);
      });
      if (outcome.kind === 'stored') this.#options.written?.tell(this.#stream, outcome.sequence, bytes);
    } catch (error) {
      if (!this.#options.signal.aborted) throw error;
      for (const waiting of batch) waiting.settle({ kind: 'unknown' });
      for (const waiting of this.#waiting.splice(0))
        waiting.settle({ kind: 'refused', noSpace: false, reason: 'shutting down' });
    } finally {
      clearInterval(watchdog);
    }
    const { commitBatch, commitSeconds } = this.#options;
    commitBatch?.observe({ commit: 'frame' }, batch.length);
    commitSeconds?.observe({ commit: 'frame' }, (performance.now() - began) / 1000);
  }

  #expire(sent: Waiting[]): void {
    const now = Date.now();
    if (sent[0] === undefined || now < sent[0].deadline) return;
    if (!this.#silent) this.#options.log.warning(`the log of shard ${this.#options.shard} does not answer`);
    this.#silent = true;
    for (const waiting of sent) waiting.settle({ kind: 'unknown' });
    while (this.#waiting[0] !== undefined && now >= this.#waiting[0].deadline) {
      this.#waiting.shift()!.settle({ kind: 'refused', noSpace: false, reason: 'the log does not answer' });
    }
  }

  /** Waits until nothing is under way. */
  async drain(): Promise<void> {
    await this.#running;
  }
}
