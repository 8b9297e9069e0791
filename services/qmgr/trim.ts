/**
 * Keeps the logs short. Once a second the incoming log is purged up to a floor: below it lies nothing that is undone, and
 * nothing younger than the grace (postfleet_log_grace, bounded by postfleet_log_grace_bytes), for if Postgres fails over
 * and forgets its last seconds the log is read again from where Postgres then stands.
 *
 * Undone entries below the grace are copied forward to DEFERRED_<shard>, many in one frame, and their rows follow by
 * compare-and-set; that log is cleaned by live ratio: while it is more than twice its live octets, the survivors at its
 * head are copied to its end and the head is purged. A copy is as dense as can be, so a pass ends with little more than
 * what is live.
 *
 * Logs a line when it copies entries, a warning when an entry cannot be found where its row says.
 */
import type { StreamState } from '@nats-io/jetstream';
import type { Pool } from 'pg';
import type { EntryReader } from '../../lib/queue/entry-reader.ts';
import { entryLength } from '../../lib/queue/frame.ts';
import { FramePublisher } from '../../lib/queue/frame-publisher.ts';
import { logNumber } from '../../lib/queue/sql/shard-log.ts';
import {
  firstUnmoved,
  type LocatedMessage,
  liveOctets,
  type Move,
  movedFrom,
  relocate,
  saveFloor,
  unmovedBelow,
} from '../../lib/queue/sql/trim.ts';
import { deferredStream, deferredSubject, incomingStream } from '../../lib/queue/streams.ts';
import type { Metrics } from '../../lib/server/metrics.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';
import type { QmgrSettings } from './settings.ts';

export interface TrimContext {
  readonly pool: Pool;
  readonly nats: Nats;
  readonly entries: EntryReader;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly settings: Pick<QmgrSettings, 'graceSeconds' | 'graceBytes'>;
  readonly shard: number;
  readonly epoch: number;
  readonly logNumber: number;
  readonly streamOf: (log: number) => Promise<string | undefined>;
  readonly signal: AbortSignal;
}

/** Entries copied forward in one step. */
const STEP = 500;
/** A deferred log smaller than this is not worth cleaning. */
const CLEANING_MINIMUM = 4 * 1024 * 1024;
/** Steps of cleaning in one round. */
const CLEANING_STEPS = 10;
/** Milliseconds for which a deferred log that is dense enough is left alone: to measure it takes a look at every row. */
const MEASURE_PAUSE = 30_000;

/** Remembers when the log reached which sequence and how many octets, for the grace. Times in milliseconds. */
export class GraceClock {
  readonly #marks: { at: number; sequence: number; octets: number }[] = [];

  mark(at: number, sequence: number, octets: number): void {
    const last = this.#marks.at(-1);
    if (last !== undefined && (last.sequence === sequence || at - last.at < 500)) return;
    this.#marks.push({ at, sequence, octets });
  }

  /** The sequence below which everything is older than the grace or beyond its octets. */
  below(now: number, graceMs: number, graceOctets: number, octetsNow: number): number {
    let below = 0;
    while (this.#marks.length > 0) {
      const { at, sequence, octets } = this.#marks[0]!;
      if (now - at < graceMs && octetsNow - octets < graceOctets) break;
      below = sequence + 1;
      this.#marks.shift();
    }
    return below;
  }
}

export class Trimmer {
  readonly #context: TrimContext;
  readonly #grace = new GraceClock();
  #publisher: FramePublisher | undefined;
  #deferredLog: number | undefined;
  #floor: number;
  #below = 0;
  /** Octets ever read from the log by this owner. */
  #octets = 0;
  #measureAt = 0;

  constructor(context: TrimContext, floor: number) {
    this.#context = context;
    this.#floor = floor;
  }

  /** Tells what has been applied. */
  applied(sequence: number, octets: number): void {
    this.#octets += octets;
    this.#grace.mark(Date.now(), sequence, this.#octets);
  }

  /** One round; throws what the stores say. */
  async round(): Promise<void> {
    const { settings, pool, nats, shard, epoch, logNumber: log, metrics } = this.#context;
    this.#below = Math.max(
      this.#below,
      this.#grace.below(Date.now(), settings.graceSeconds * 1000, settings.graceBytes, this.#octets),
    );
    if (this.#below > this.#floor) {
      await this.#copyForward();
      const first = await firstUnmoved(pool, log, this.#floor);
      const floor = Math.min(first ?? this.#below, this.#below);
      if (floor > this.#floor) {
        const { purged } = await nats.manager.streams.purge(incomingStream(shard), { seq: floor });
        metrics.trimmed.inc({ log: incomingStream(shard) }, purged);
        await saveFloor(pool, shard, epoch, floor);
        this.#floor = floor;
      }
    }
    await this.#clean();
  }

  async #copyForward(): Promise<void> {
    const { pool, logNumber: log, signal } = this.#context;
    let from = this.#floor;
    while (!signal.aborted) {
      const batch = await unmovedBelow(pool, log, from, this.#below, STEP);
      if (batch.length === 0) return;
      await this.#copy(batch);
      from = batch.at(-1)!.sequence;
      if (batch.length < STEP) return;
    }
  }

  async #deferred(): Promise<{ log: number; publisher: FramePublisher }> {
    const { nats, pool, shard, log, signal } = this.#context;
    const stream = deferredStream(shard);
    if (this.#deferredLog === undefined) {
      const { created } = await nats.manager.streams.info(stream);
      this.#deferredLog = await logNumber(pool, shard, 'deferred', stream, created);
    }
    this.#publisher ??= new FramePublisher({ nats, shard, log, signal, stream, subject: deferredSubject });
    return { log: this.#deferredLog, publisher: this.#publisher };
  }

  /** Copies entries to the end of the deferred log and points their rows there. */
  async #copy(batch: readonly LocatedMessage[]): Promise<void> {
    const { pool, entries, log, streamOf, shard, epoch } = this.#context;
    const { log: deferredLog, publisher } = await this.#deferred();
    const moves: Move[] = [];
    let missing = 0;
    await Promise.all(
      batch.map(async (message) => {
        const stream = await streamOf(message.at.log);
        const stored = stream === undefined ? undefined : await entries.readBytes({ stream, ...message.at });
        if (stored === undefined) {
          missing++;
          return;
        }
        const entry = { envelope: stored.envelope, content: [stored.content] };
        const outcome = await publisher.append(entry.envelope, entry.content);
        if (outcome.kind !== 'stored') return;
        const to = { log: deferredLog, sequence: outcome.sequence, entry: outcome.entry };
        moves.push({ from: message, to, octets: entryLength(entry) });
      }),
    );
    if (moves.length > 0 && !(await relocate(pool, shard, epoch, moves)))
      throw new Error('the shard has another owner');
    log.debug(`copied ${moves.length} entries forward`);
    if (missing > 0)
      log.warning(`${missing} entries are not where their rows say; the log is kept for somebody to look`);
    if (moves.length < batch.length)
      throw new Error(`${batch.length - moves.length} entries could not be copied forward`);
  }

  /** Purges what lies in the deferred log before its first survivor; resolves to what the log is then. */
  async #purgeHead(log: number): Promise<StreamState> {
    const { nats, pool, shard, metrics } = this.#context;
    const stream = deferredStream(shard);
    const { state } = await nats.manager.streams.info(stream);
    if (state.bytes < CLEANING_MINIMUM) return state;
    // A row that names what lies before the stream's first message holds nothing: its entry is gone.
    const first = (await movedFrom(pool, log, state.first_seq, 1))[0]?.at.sequence ?? state.last_seq + 1;
    if (first <= state.first_seq) return state;
    const { purged } = await nats.manager.streams.purge(stream, { seq: first });
    metrics.trimmed.inc({ log: stream }, purged);
    return (await nats.manager.streams.info(stream)).state;
  }

  /** Cleans the deferred log where less than half of it is live, a bounded part of it at a time. */
  async #clean(): Promise<void> {
    const { pool, signal } = this.#context;
    const { log } = await this.#deferred();
    let state = await this.#purgeHead(log);
    if (state.bytes < CLEANING_MINIMUM || Date.now() < this.#measureAt) return;
    const live = await liveOctets(pool, log);
    for (let step = 0; step < CLEANING_STEPS && state.bytes > 2 * live && !signal.aborted; step++) {
      await this.#copy(await movedFrom(pool, log, state.first_seq, STEP));
      state = await this.#purgeHead(log);
      if (state.bytes < CLEANING_MINIMUM) return;
    }
    if (state.bytes <= 2 * live) this.#measureAt = Date.now() + MEASURE_PAUSE;
  }
}
