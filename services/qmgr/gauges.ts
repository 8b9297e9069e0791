/**
 * Keeps the gauges of queue depth and age for the shards that this qmgr owns, by queue as mailq(1) names them: "active" is what
 * is in its memory, "deferred" the rest of what has rows and is not on hold, "hold" the others. Rows are counted in Postgres
 * every few seconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { queueCounts } from '../../lib/queue/sql/counts.ts';
import type { QmgrContext } from './context.ts';

const INTERVAL = 15_000;

/** What the active queue holds. */
export interface ActiveCount {
  readonly active: number;
  /** Milliseconds since the epoch at which its oldest message came; undefined where it is empty. */
  readonly oldestArrival: number | undefined;
}

export async function gauges(
  context: QmgrContext,
  shards: () => readonly number[],
  scheduler: ActiveCount,
  signal: AbortSignal,
): Promise<void> {
  const { pool, metrics } = context;
  while (!signal.aborted) {
    await delay(INTERVAL, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    // A Postgres that is away is complained about by those who write.
    const counts = await queueCounts(pool, shards()).catch(() => undefined);
    if (counts === undefined) continue;
    const { active, oldestArrival = Date.now() } = scheduler;
    const deferred = Math.max(0, counts.messages - active);
    metrics.queueDepth.set({ queue: 'active' }, active);
    metrics.queueDepth.set({ queue: 'deferred' }, deferred);
    metrics.queueDepth.set({ queue: 'hold' }, counts.held);
    metrics.oldestAge.set({ queue: 'active' }, Math.max(0, Date.now() - oldestArrival) / 1000);
    metrics.oldestAge.set({ queue: 'deferred' }, deferred === 0 ? 0 : counts.oldest);
    metrics.oldestAge.set({ queue: 'hold' }, counts.oldestHeld);
  }
}
