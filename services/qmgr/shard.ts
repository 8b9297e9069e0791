/**
 * One shard under one lease: what the former owner left is taken up, then the incoming log is read, due recipients are
 * brought in, messages are finished that others left, and the logs are trimmed, until the lease ends.
 *
 * An error of a store ends the round of all of them; they begin again, after a pause, from what Postgres says is applied.
 * Logs what it takes up, a gap or another life of the log, and the errors that made it begin again, once each.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError } from '@nats-io/jetstream';
import { wholeEnvelope } from '../../lib/queue/entry-reader.ts';
import { decodeFrame } from '../../lib/queue/frame.ts';
import { shardOf } from '../../lib/queue/shard-hash.ts';
import { nextDue, reclaimActive } from '../../lib/queue/sql/due.ts';
import { beginLog, logNumber, shardPosition } from '../../lib/queue/sql/shard-log.ts';
import { incomingStream } from '../../lib/queue/streams.ts';
import { Pace } from '../../lib/util/pace.ts';
import { Wake } from '../../lib/util/wake.ts';
import { type Arrival, type ArrivalContext, admission, LaterVersion, mayStayUnwritten, readFrames } from './arrival.ts';
import type { QmgrContext } from './context.ts';
import { applyArrivals, NotOwner } from './ingest.ts';
import { LogFeed } from './log-feed.ts';
import { LargeEntry, scanDue } from './scan.ts';
import { sweepContent, sweepSubmissionKeys } from './sweep.ts';
import { Trimmer } from './trim.ts';
import { seeToUnfinished } from './unfinished.ts';
import { UnwrittenArrivals } from './unwritten.ts';

/** After a round of this many milliseconds an error is a new one. */
const STEADY = 10_000;
const SWEEP_INTERVAL = 3600 * 1000;
/** Milliseconds between two readings of a busy log: each costs the same whatever it brings. */
const READ_PACE = 8;
/** Milliseconds for which the last statement of a shard is tried, below the life of a lease, and between two tries. */
const LAST_WRITE_LIMIT = 2000;
const LAST_WRITE_PAUSE = 100;
/** Recipients that one scan brings in. */
const SCAN_LIMIT = 500;

interface Position {
  readonly logNumber: number;
  readonly applied: number;
  readonly trimmed: number;
}

export class Shard {
  readonly #context: QmgrContext;
  readonly #shard: number;
  readonly #epoch: number;
  readonly #signal: AbortSignal;
  readonly #unwritten = new UnwrittenArrivals();
  /** Rings when something was read. */
  readonly #arrived = new Wake();
  /** Rings when something was written. */
  readonly #confirmed = new Wake();

  constructor(context: QmgrContext, shard: number, epoch: number, signal: AbortSignal) {
    this.#context = context;
    this.#shard = shard;
    this.#epoch = epoch;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    try {
      await this.#rounds();
    } finally {
      this.#unwritten.release();
    }
  }

  async #rounds(): Promise<void> {
    const { pool, log, scheduler } = this.#context;
    let complained = '';
    for (let wait = 100; !this.#signal.aborted; wait = Math.min(wait * 2, 2000)) {
      const round = new AbortController();
      // A round that never got as far as its work is not a steady one, however long ago the last was.
      let began = Number.POSITIVE_INFINITY;
      const signal = AbortSignal.any([this.#signal, round.signal]);
      try {
        const taken = await reclaimActive(pool, this.#shard, this.#epoch, scheduler.keys(this.#shard, this.#epoch));
        if (taken > 0) log.info(`shard ${this.#shard}: ${taken} recipients taken up`);
        const position = await this.#position();
        this.#unwritten.rewind(position.applied, position.logNumber);
        began = performance.now();
        await this.#work(position, signal);
      } catch (error) {
        if (this.#signal.aborted || error instanceof NotOwner) continue;
        const text = error instanceof Error ? error.message : String(error);
        if (performance.now() - began > STEADY) {
          complained = '';
          wait = 100;
        }
        if (text !== complained) log.warning(`shard ${this.#shard}: ${text}; beginning again`);
        complained = text;
        this.#context.trouble(this.#shard, error instanceof LaterVersion ? text : undefined);
      } finally {
        round.abort();
      }
      await delay(wait, undefined, { signal: this.#signal }).catch(() => undefined);
    }
  }

  /** Runs the loops together: when one fails, all end. */
  async #work(position: Position, signal: AbortSignal): Promise<void> {
    const { pool, nats, entries, log, metrics, settings, streamOf, finisher } = this.#context;
    const trimmer = new Trimmer(
      {
        pool,
        nats,
        entries,
        log,
        metrics,
        settings,
        shard: this.#shard,
        epoch: this.#epoch,
        logNumber: position.logNumber,
        streamOf,
        signal,
      },
      position.trimmed,
    );
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const loops = [
      this.#read(position, either),
      this.#write(position, trimmer, either),
      this.#scan(either),
      this.#trim(trimmer, either),
      seeToUnfinished({ pool, shard: this.#shard, finisher, signal: either }),
      ...(this.#shard === 0 ? [this.#sweep(either)] : []),
    ];
    try {
      await Promise.race(loops);
      // A loop ends without an error only when the signal told it to.
      if (!signal.aborted) throw new Error('the incoming log ended');
    } finally {
      stop.abort();
      await Promise.allSettled(loops);
    }
  }

  /** Where to read from: after what is applied, or from the first sequence of a log that is not the one we knew. */
  async #position(): Promise<Position> {
    const { pool, nats, log } = this.#context;
    const stream = incomingStream(this.#shard);
    const info = await nats.manager.streams.info(stream);
    const known = await shardPosition(pool, this.#shard);
    if (known === undefined) throw new NotOwner(`shard ${this.#shard} has no row`);
    const { state, created } = info;
    const same = known.created === created;
    if (
      same &&
      known.log !== null &&
      state.last_seq >= known.appliedSequence &&
      (await this.#sameFrame(stream, known.appliedSequence, known.appliedFrame))
    ) {
      if (state.first_seq > known.appliedSequence + 1 && state.messages > 0) {
        log.error(
          `shard ${this.#shard}: frames ${known.appliedSequence + 1} to ${state.first_seq - 1} of ${stream} are gone before they were read`,
        );
        this.#context.trouble(this.#shard, 'frames of the incoming log are missing');
      }
      return { logNumber: known.log, applied: known.appliedSequence, trimmed: known.trimmedSequence };
    }
    if (known.log !== null) {
      log.warning(
        `shard ${this.#shard}: ${stream} is not the stream that was read before; reading it from its first message`,
      );
    }
    const next = await logNumber(pool, this.#shard, 'incoming', stream, same ? `${created}#${Date.now()}` : created);
    if (!(await beginLog(pool, this.#shard, this.#epoch, next))) throw new NotOwner(`shard ${this.#shard} is not ours`);
    return { logNumber: next, applied: 0, trimmed: 0 };
  }

  /** Whether the frame that was applied last is the one that the stream has there; purged frames cannot be asked. */
  async #sameFrame(stream: string, sequence: number, id: string): Promise<boolean> {
    if (sequence === 0 || id === '') return true;
    try {
      const message = await this.#context.nats.manager.streams.getMessage(stream, { seq: sequence });
      if (message === null) return true;
      const decoded = decodeFrame(Buffer.from(message.data));
      return decoded.kind !== 'frame' || decoded.frame.fence || decoded.frame.id === id;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === 10037) return true;
      throw error;
    }
  }

  #arrivalContext(logNumber: number): ArrivalContext {
    const { log, rewrite, tracing, rule, content } = this.#context;
    const readEnvelope: ArrivalContext['readEnvelope'] = (stub) => wholeEnvelope(content, stub);
    return { log, rewrite, tracing, rule, logNumber, shard: this.#shard, epoch: this.#epoch, readEnvelope };
  }

  /** Reads the log. What can do without rows is delivered at once; the rest when `#write` has seen to them. */
  async #read(position: Position, signal: AbortSignal): Promise<void> {
    const { nats, written, scheduler } = this.#context;
    const context = this.#arrivalContext(position.logNumber);
    const pace = new Pace(READ_PACE);
    let read = position.applied;
    const stream = incomingStream(this.#shard);
    await using feed = await LogFeed.open({ nats, stream, from: read + 1, written, signal });
    while (!signal.aborted) {
      await scheduler.waitForRoom(signal);
      await pace.wait();
      while (this.#unwritten.full && !signal.aborted) await this.#confirmed.wait(1000, signal);
      const frames = await feed.take();
      if (frames === undefined) return;
      for (let fresh = frames; ; ) {
        const from = read;
        fresh = fresh.filter(({ sequence }) => sequence > from);
        if (fresh.length === 0) break;
        const arrivals = await readFrames(context, fresh);
        read = arrivals.to;
        const early = this.#unwritten.add(arrivals, performance.now(), (arrival) => mayStayUnwritten(context, arrival));
        this.#admit(context, early);
        this.#arrived.ring();
      }
    }
  }

  #admit(context: ArrivalContext, arrivals: readonly Arrival[]): void {
    const now = Date.now() * 1000;
    this.#context.scheduler.admit(arrivals.flatMap((arrival) => admission(context, arrival, now) ?? []));
  }

  /** Moves applied_sequence past what was read, with rows for what is not delivered by then; at the end, for all that is left. */
  async #write(position: Position, trimmer: Trimmer, signal: AbortSignal): Promise<void> {
    let applied = position.applied;
    while (!signal.aborted) {
      const wait = this.#unwritten.dueIn(performance.now());
      if (wait === undefined || wait > 0) await this.#arrived.wait(wait ?? 1000, signal);
      else applied = await this.#writeRows(position.logNumber, applied, trimmer);
    }
    await this.#writeLast(position.logNumber, applied, trimmer);
  }

  /**
   * What was delivered and is not written would be delivered again by the next owner: where Postgres is away for a moment, it is
   * tried again while the lease lasts.
   */
  async #writeLast(logNumber: number, applied: number, trimmer: Trimmer): Promise<void> {
    const until = performance.now() + LAST_WRITE_LIMIT;
    for (;;) {
      try {
        await this.#writeRows(logNumber, applied, trimmer, true);
        return;
      } catch (error) {
        if (error instanceof NotOwner || performance.now() > until) throw error;
        await delay(LAST_WRITE_PAUSE);
      }
    }
  }

  /** Resolves to the sequence up to which all is applied. */
  async #writeRows(logNumber: number, from: number, trimmer: Trimmer, all = false): Promise<number> {
    const { pool, log, rule, notify } = this.#context;
    const batch = this.#unwritten.next(performance.now(), all);
    if (batch === undefined) return from;
    const { rows, corrupt, to, lastFrame, octets } = batch;
    const kept = await applyArrivals(
      { pool, log, rule, logNumber, shard: this.#shard, epoch: this.#epoch },
      { arrivals: rows, corrupt, from, to, lastFrame },
    );
    this.#unwritten.confirm(to);
    this.#confirmed.ring();
    trimmer.applied(to, octets);
    this.#admit(
      this.#arrivalContext(logNumber),
      kept.filter(({ unwritten }) => unwritten === undefined),
    );
    if (kept.some(({ resolved }) => resolved.some((reply) => shardOf(rule, reply) !== this.#shard))) notify();
    return to;
  }

  async #scan(signal: AbortSignal): Promise<void> {
    const { pool, log, rewrite, tracing, entries, streamOf, scheduler, wake } = this.#context;
    const context = {
      pool,
      log,
      rewrite,
      tracing,
      entries,
      streamOf,
      shard: this.#shard,
      epoch: this.#epoch,
      large: new LargeEntry(),
    };
    while (!signal.aborted) {
      const limit = Math.min(SCAN_LIMIT, scheduler.room);
      const found = limit > 0 ? await scanDue(context, limit, (admissions) => scheduler.admit(admissions)) : 0;
      if (found > 0) continue;
      const seconds = limit > 0 ? await nextDue(pool, this.#shard) : undefined;
      await wake.wait(Math.min(1000, Math.max(50, (seconds ?? 1) * 1000)), signal);
    }
  }

  async #trim(trimmer: Trimmer, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(1000, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // The log is only longer than it need be when this fails: it must not hold up delivery.
      await trimmer.round().catch((error: unknown) => this.#complain('trimming', error, signal));
    }
  }

  /** What the fleet's stores gather beside the mail is seen to by the owner of shard 0. */
  async #sweep(signal: AbortSignal): Promise<void> {
    const { nats, pool, log, settings } = this.#context;
    const { shards, maximalQueueLifetime, bounceQueueLifetime } = settings;
    const context = { nats, pool, log, shards, signal };
    while (!signal.aborted) {
      await delay(SWEEP_INTERVAL, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      await sweepContent(context).catch((error: unknown) => this.#complain('sweeping content', error, signal));
      await sweepSubmissionKeys(context, Math.max(maximalQueueLifetime, bounceQueueLifetime)).catch((error: unknown) =>
        this.#complain('sweeping submission keys', error, signal),
      );
    }
  }

  #complain(what: string, error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    const text = error instanceof Error ? error.message : String(error);
    this.#context.log.warning(`shard ${this.#shard}: ${what}: ${text}`);
  }
}
