/**
 * Keeps the gauges of queue depth and age: counted in Postgres every few seconds, for the shards that this qmgr owns.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { queueCounts } from '../../lib/queue/sql/counts.ts';
import type { QmgrContext } from './context.ts';

const INTERVAL = 15_000;

export async function gauges(
  context: QmgrContext,
  shards: () => readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const { pool, metrics } = context;
  while (!signal.aborted) {
    await delay(INTERVAL, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // A Postgres that is away is complained about by those who write.
    const counts = await queueCounts(pool, shards()).catch(() => undefined);
    if (counts === undefined) continue;
    metrics.queueDepth.set({ queue: 'active' }, counts.active);
    metrics.queueDepth.set({ queue: 'deferred' }, counts.deferred);
    metrics.oldestAge.set({ queue: 'active' }, counts.oldestActive);
    metrics.oldestAge.set({ queue: 'deferred' }, counts.oldestDeferred);
  }
}
