/**
 * Which shards this qmgr owns. A shard is ours from the moment that Postgres says so until `leaseSeconds` after the last
 * renewal was asked for, by this process' monotonic clock: nothing begins after that, whether Postgres can be reached or
 * not. Shards are spread evenly: an owner that has more than its share gives some up, one that has fewer takes what is
 * free.
 *
 *   free   → held      `takeShards`, when its lease has run out or was given up
 *   held   → held      renewed three times a lease
 *   held   → lost      not renewed in time, or Postgres says that somebody else has it
 *   held   → free      given up, because the share is smaller or the process ends
 *
 * Logs each shard that it takes, gives up or loses.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from 'pg';
import { forgetOwner, releaseShards, renewLeases, takeShards } from '../../lib/queue/sql/lease.ts';
import type { Log } from '../../lib/util/log.ts';

interface Holding {
  readonly epoch: number;
  readonly controller: AbortController;
  /** Stops the shard's work; resolves when it has stopped. */
  stopped: Promise<void>;
}

export interface LeaseOptions {
  readonly pool: Pool;
  readonly owner: string;
  readonly shards: number;
  readonly leaseSeconds: number;
  readonly log: Log;
  /** Runs a shard until `signal`; resolves when nothing of it goes on. */
  readonly run: (shard: number, epoch: number, signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
}

export class ShardLeases {
  readonly #options: LeaseOptions;
  readonly #held = new Map<number, Holding>();
  /** By performance.now(). */
  #validUntil = 0;
  #reachable = true;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** The epoch under which the shard is ours at this moment. */
  epoch(shard: number): number | undefined {
    return performance.now() < this.#validUntil ? this.#held.get(shard)?.epoch : undefined;
  }

  get held(): readonly number[] {
    return [...this.#held.keys()];
  }

  get valid(): boolean {
    return performance.now() < this.#validUntil;
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
      await delay(interval, undefined, { signal }).catch(() => undefined);
    }
    await this.#giveUpAll();
  }

  async #round(): Promise<void> {
    const { pool, owner, shards, leaseSeconds, log, run } = this.#options;
    // The clock starts before the question: however long the answer takes, the lease is over no later than Postgres thinks.
    const asked = performance.now();
    const { held, owners } = await renewLeases(pool, owner, leaseSeconds);
    const now = new Map(held.map(({ shard, epoch }) => [shard, epoch]));
    for (const [shard, holding] of this.#held) {
      if (now.get(shard) !== holding.epoch) this.#lose(shard, 'another owner has it');
    }
    this.#validUntil = asked + leaseSeconds * 1000;
    const share = Math.ceil(shards / owners);
    // A shard that is still stopping here must not be run twice.
    if (this.#held.size < share) {
      for (const { shard, epoch } of await takeShards(pool, owner, leaseSeconds, share - this.#held.size)) {
        log.info(`shard ${shard}: taken, epoch ${epoch}`);
        const controller = new AbortController();
        const stopped = run(shard, epoch, controller.signal).catch((error: unknown) => {
          log.error(
            `shard ${shard}: stopped: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
          );
        });
        this.#held.set(shard, { epoch, controller, stopped });
      }
    } else if (this.#held.size > share) {
      for (const shard of this.held.slice(share)) await this.#giveUp(shard);
    }
  }

  #lose(shard: number, why: string): void {
    this.#options.log.warning(`shard ${shard}: lost: ${why}`);
    this.#held.get(shard)?.controller.abort();
    this.#held.delete(shard);
  }

  async #giveUp(shard: number): Promise<void> {
    const holding = this.#held.get(shard);
    if (holding === undefined) return;
    holding.controller.abort();
    this.#held.delete(shard);
    await holding.stopped;
    await releaseShards(this.#options.pool, this.#options.owner, [shard]);
    this.#options.log.info(`shard ${shard}: given up`);
  }

  async #giveUpAll(): Promise<void> {
    for (const shard of this.held) this.#held.get(shard)?.controller.abort();
    await Promise.all([...this.#held.values()].map((holding) => holding.stopped));
    try {
      await releaseShards(this.#options.pool, this.#options.owner, this.held);
      await forgetOwner(this.#options.pool, this.#options.owner);
    } catch (error) {
      this.#options.log.warning(`cannot give up shards, they are free when the lease ends: ${String(error)}`);
    }
    this.#held.clear();
  }
}
