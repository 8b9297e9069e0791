/** Makes all deferred mail due, for whoever has a connection to Postgres and no context of a service. Rejects as pg does. */
import type { Pool } from 'pg';
import { flushBatch, flushPlan } from './sql/flush.ts';

const BATCH = 5000;

/** Resolves to the number of recipients that were deferred. */
export async function flushAll(pool: Pool, signal?: AbortSignal): Promise<number> {
  const { moment, shards } = await flushPlan(pool);
  let count = 0;
  for (const shard of shards) {
    for (let flushed = BATCH; flushed === BATCH; count += flushed) {
      signal?.throwIfAborted();
      flushed = await flushBatch(pool, shard, moment, BATCH);
    }
  }
  if (count > 0) await pool.query("select pg_notify('postfleet_queue', 'flush')");
  return count;
}
