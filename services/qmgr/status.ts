/**
 * Writes what attempts came to: one transaction at a time, and whatever comes meanwhile makes the next one. A status that
 * is written is on Postgres' disk; one that is not is tried again for as long as the process lives, because the delivery
 * has happened.
 *
 * Logs a warning when Postgres begins to refuse, and a line when it answers again.
 */
import type { Pool } from 'pg';
import { compareKeys, keyText, type MessageKey } from '../../lib/queue/message-key.ts';
import {
  appendBounceLog,
  type BounceLogRow,
  type Deferral,
  deferRecipients,
  finishRecipients,
  finishSingle,
  type RecipientKey,
} from '../../lib/queue/sql/status.ts';
import type { Metrics } from '../../lib/server/metrics.ts';
import type { Log } from '../../lib/util/log.ts';
import { Pace } from '../../lib/util/pace.ts';

/** What one entry came to. */
export interface EntryOutcome {
  readonly shard: number;
  readonly epoch: number;
  /** Set where the message's only recipient was delivered and nobody is to be told. */
  readonly single: MessageKey | undefined;
  readonly done: readonly RecipientKey[];
  readonly deferred: readonly Deferral[];
  readonly bounceLog: readonly BounceLogRow[];
}

interface Waiting {
  readonly outcome: EntryOutcome;
  /** True: the message has no undone recipient left, of any shard, and its rows wait for notices or for the end. */
  settle(finished: boolean): void;
}

export interface StatusOptions {
  readonly pool: Pool;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
}

/** Statuses that may wait before no delivery begins. */
const BACKLOG = 5_000;
const BATCH = 2_000;
/** Recipients of messages with several: a transaction is to last for milliseconds. */
const RECIPIENTS = 5_000;
/** Milliseconds between two transactions: nobody waits for them, and each costs the same whatever it holds. */
const PACE = 50;

export class StatusWriter {
  readonly #options: StatusOptions;
  readonly #pace = new Pace(PACE);
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #refused = false;
  #writing = 0;

  constructor(options: StatusOptions) {
    this.#options = options;
  }

  /** False while Postgres refuses, or lags: nothing should be attempted then. */
  get writable(): boolean {
    return !this.#refused && this.#waiting.length < BACKLOG;
  }

  /** Resolves when it is on disk: true where that was the last undone recipient. Rejects only at the end of the process. */
  write(outcome: EntryOutcome): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ outcome, settle: resolve });
    this.#running ??= new Promise<void>((start) => setImmediate(start)).then(() => this.#run());
    return promise;
  }

  async drain(): Promise<void> {
    await this.#running;
  }

  get backlog(): number {
    return this.#waiting.length + this.#writing;
  }

  async #run(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        await this.#pace.wait();
        const batch = this.#next();
        this.#writing = batch.length;
        const finished = await this.#persist(batch.map((waiting) => waiting.outcome));
        if (finished === undefined) return;
        for (const { outcome, settle } of batch) {
          const key = outcome.single ?? outcome.done[0];
          settle(outcome.single !== undefined || (key !== undefined && finished.has(keyText(key))));
        }
      }
    } finally {
      this.#writing = 0;
      this.#running = undefined;
    }
  }

  /** What one transaction writes. */
  #next(): Waiting[] {
    let recipients = 0;
    let count = 0;
    for (const { outcome } of this.#waiting) {
      recipients += outcome.done.length + outcome.deferred.length;
      if (count === BATCH || (count > 0 && recipients > RECIPIENTS)) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** The messages that are finished; undefined where the process ended before Postgres took it. */
  async #persist(outcomes: readonly EntryOutcome[]): Promise<Set<string> | undefined> {
    const { log, metrics, signal } = this.#options;
    for (let wait = 20; !signal.aborted; wait = Math.min(wait * 2, 1000)) {
      const began = performance.now();
      try {
        const finished = await this.#transaction(outcomes);
        if (this.#refused) log.info('Postgres takes statuses again');
        this.#refused = false;
        metrics.commitBatch.observe({ commit: 'status' }, outcomes.length);
        metrics.commitSeconds.observe({ commit: 'status' }, (performance.now() - began) / 1000);
        return finished;
      } catch (error) {
        // A dead-lock or a serialisation failure is nobody's fault and is tried again at once.
        const code = (error as { code?: string }).code ?? '';
        if (code === '40P01' || code === '40001') continue;
        if (!this.#refused)
          log.warning(
            `cannot write delivery status: ${error instanceof Error ? error.message : String(error)}; trying again`,
          );
        this.#refused = true;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    return undefined;
  }

  async #transaction(outcomes: readonly EntryOutcome[]): Promise<Set<string>> {
    const singles = outcomes
      .flatMap((outcome) => (outcome.single === undefined ? [] : [outcome.single]))
      .sort(compareKeys);
    const done = outcomes.flatMap((outcome) => outcome.done).sort(compareKeys);
    const bounceLog = outcomes.flatMap((outcome) => outcome.bounceLog).sort(compareKeys);
    const deferrals = Map.groupBy(
      outcomes.filter((outcome) => outcome.deferred.length > 0),
      (outcome) => `${outcome.shard}:${outcome.epoch}`,
    );
    const { pool } = this.#options;
    // Most batches are deliveries of single recipients: one statement is a transaction by itself.
    if (done.length === 0 && bounceLog.length === 0 && deferrals.size === 0) {
      await finishSingle(pool, singles);
      return new Set();
    }
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('begin');
      if (singles.length > 0) await finishSingle(client, singles);
      if (bounceLog.length > 0) await appendBounceLog(client, bounceLog);
      const finished = done.length > 0 ? await finishRecipients(client, done) : [];
      for (const group of deferrals.values()) {
        const { shard, epoch } = group[0]!;
        await deferRecipients(client, shard, epoch, group.flatMap((outcome) => outcome.deferred).sort(compareKeys));
      }
      await client.query('commit');
      return new Set(finished.map(keyText));
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error));
      await client.query('rollback').catch(() => undefined);
      throw error;
    } finally {
      client.release(broken !== undefined && !('code' in broken) ? broken : undefined);
    }
  }
}
