/**
 * Which shards this qmgr owns. A shard is ours from the moment that Postgres says so until `leaseSeconds` after the last
 * renewal was asked for, by this process' monotonic clock: nothing begins after that, whether Postgres can be reached or
 * not. Shards are spread evenly: an owner that has more than its share gives some up, one that has fewer takes what is
 * free.
 *
 *   free    → held      `takeShards`, when its lease has run out or was given up
 *   held    → held      renewed several times a lease
 *   held    → lost      not renewed in time, or Postgres says that somebody else has it
 *   held    → leaving   the share is smaller: nothing begins, and the lease is renewed while its work comes to its end
 *   leaving → free      when that has ended, or takes longer than a lease
 *   held    → free      given up, because the process ends
 *
 * However long a shard takes to stop, the others are renewed meanwhile.
 *
 * Logs each shard that it takes, gives up or loses.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { forgetOwner, type OwnerCount, releaseShards, renewLeases, takeShards } from '../../lib/queue/sql/lease.ts';
import type { Log } from '../../lib/util/log.ts';

interface Holding {
  readonly epoch: number;
  readonly controller: AbortController;
  /** Resolves when the shard's work has stopped. */
  readonly stopped: Promise<void>;
}

/** Time as this process sees it; tests have one of their own. */
export interface Clock {
  /** Milliseconds, never going back. */
  now(): number;
  /** Resolves after `milliseconds`, or when `signal` is aborted. Never rejects. */
  delay(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

const MONOTONIC: Clock = {
  now: () => performance.now(),
  delay: (milliseconds, signal) => delay(milliseconds, undefined, signal && { signal }).catch(() => undefined),
};

export interface LeaseOptions {
  readonly pool: Pick<Pool, 'query'>;
  readonly owner: string;
  readonly shards: number;
  readonly leaseSeconds: number;
  readonly log: Pick<Log, 'info' | 'warning' | 'error'>;
  /** Runs a shard until `signal`; resolves when nothing of it goes on. */
  readonly run: (shard: number, epoch: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

/**
 * How many shards an owner is to have. Those that hold more keep more, so that no shard moves whose move evens nothing out.
 */
export function shareOf(shards: number, own: OwnerCount, others: readonly OwnerCount[]): number {
  const before = others.filter(
    (other) => other.shards > own.shards || (other.shards === own.shards && other.owner < own.owner),
  ).length;
  const owners = others.length + 1;
  return Math.floor(shards / owners) + (before < shards % owners ? 1 : 0);
}

export class ShardLeases {
  readonly #options: LeaseOptions;
  readonly #clock: Clock;
  readonly #held = new Map<number, Holding>();
  /** Shards on their way out, whose lease is ours still. */
  readonly #leaving = new Map<number, Holding>();
  /** When the work of shards that were held once has stopped: the next begins after that. */
  readonly #stopping = new Map<number, Promise<void>>();
  /** By the clock. */
  #validUntil = 0;
  #reachable = true;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#clock = options.clock ?? MONOTONIC;
  }

  /** The epoch under which the shard is ours at this moment. */
  epoch(shard: number): number | undefined {
    return this.valid ? this.#held.get(shard)?.epoch : undefined;
  }

  get held(): readonly number[] {
    return [...this.#held.keys()];
  }

  get valid(): boolean {
    return this.#clock.now() < this.#validUntil;
  }

  /** Renews and takes until the signal; gives everything up at the end. */
  async run(): Promise<void> {
    const { signal, leaseSeconds, log } = this.#options;
    const interval = Math.min(1000, (leaseSeconds * 1000) / 8);
    while (!signal.aborted) {
      try {
        await this.#round();
        if (!this.#reachable) log.info('Postgres answers again');
        this.#reachable = true;
      } catch (error) {
        if (this.#reachable)
          log.warning(`cannot renew shard leases: ${error instanceof Error ? error.message : String(error)}`);
        this.#reachable = false;
        if (!this.valid) for (const shard of this.held) this.#lose(shard, 'its lease could not be renewed');
      }
      await this.#clock.delay(interval, signal);
    }
    await this.#giveUpAll();
  }

  async #round(): Promise<void> {
    const { pool, owner, shards, leaseSeconds, log } = this.#options;
    // The clock starts before the question: however long the answer takes, the lease is over no later than Postgres thinks.
    const asked = this.#clock.now();
    const { held, others } = await renewLeases(pool, owner, leaseSeconds);
    const now = new Map(held.map(({ shard, epoch }) => [shard, epoch]));
    for (const [shard, holding] of this.#held) {
      if (now.get(shard) !== holding.epoch) this.#lose(shard, 'another owner has it');
    }
    this.#validUntil = asked + leaseSeconds * 1000;
    const share = shareOf(shards, { owner, shards: held.length }, others);
    for (const shard of this.held.slice(share)) this.#leave(shard);
    // What an answer that was lost gave us is ours as well, and so is what was to be released.
    const strays = held.filter(({ shard }) => !this.#held.has(shard) && !this.#leaving.has(shard));
    if (strays.length > 0) {
      await releaseShards(
        pool,
        owner,
        strays.map(({ shard }) => shard),
      );
    }
    // One that is leaving is ours until it is free: whoever counts it as missing would take another in its place.
    const room = share - this.#held.size - this.#leaving.size;
    if (room <= 0) return;
    for (const { shard, epoch } of await takeShards(pool, owner, leaseSeconds, room)) {
      log.info(`shard ${shard}: taken, epoch ${epoch}`);
      this.#begin(shard, epoch);
    }
  }

  #begin(shard: number, epoch: number): void {
    const { log, run } = this.#options;
    const controller = new AbortController();
    const work = async (): Promise<void> => {
      // A shard that is still stopping here must not be run twice.
      await this.#stopping.get(shard);
      if (controller.signal.aborted) return;
      await run(shard, epoch, controller.signal);
    };
    const stopped = work().catch((error: unknown) => {
      log.error(`shard ${shard}: stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    });
    this.#held.set(shard, { epoch, controller, stopped });
  }

  /** Ends the work of a shard that is held. */
  #stop(shard: number): Holding | undefined {
    const holding = this.#held.get(shard);
    if (holding === undefined) return undefined;
    holding.controller.abort();
    this.#held.delete(shard);
    this.#stopping.set(shard, holding.stopped);
    void holding.stopped.then(() => {
      if (this.#stopping.get(shard) === holding.stopped) this.#stopping.delete(shard);
    });
    return holding;
  }

  #lose(shard: number, why: string): void {
    this.#options.log.warning(`shard ${shard}: lost: ${why}`);
    this.#stop(shard);
  }

  /** Gives a shard up as soon as its work has stopped; what it still writes then is refused by its epoch. */
  #leave(shard: number): void {
    const { pool, owner, leaseSeconds, log } = this.#options;
    const holding = this.#stop(shard);
    if (holding === undefined) return;
    this.#leaving.set(shard, holding);
    const leave = async (): Promise<void> => {
      await Promise.race([holding.stopped, this.#clock.delay(leaseSeconds * 1000)]);
      try {
        await releaseShards(pool, owner, [shard]);
        log.info(`shard ${shard}: given up`);
      } catch {
        // The next round finds it among what is ours, and releases it.
      }
      this.#leaving.delete(shard);
    };
    void leave();
  }

  async #giveUpAll(): Promise<void> {
    const { pool, owner, log } = this.#options;
    const stopped = this.held.map((shard) => this.#stop(shard)?.stopped);
    await Promise.all([...stopped, ...this.#stopping.values()]);
    try {
      await releaseShards(pool, owner, undefined);
      await forgetOwner(pool, owner);
    } catch (error) {
      log.warning(`cannot give up shards, they are free when the lease ends: ${String(error)}`);
    }
  }
}
