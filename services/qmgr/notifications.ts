/**
 * LISTEN postfleet_queue: hints of other processes that something is due, or that messages were deleted or put on hold.
 * A hint that is lost costs a second at most: the poll is the truth.
 *
 * Keeps a connection of its own, made again when it breaks. Logs nothing: the pool's users complain about a Postgres that
 * is away.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Pool, PoolClient } from 'pg';

export const QUEUE_CHANNEL = 'postfleet_queue';

/** Calls `heard` with each payload until the signal. */
export async function listen(pool: Pool, heard: (payload: string) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let client: PoolClient | undefined;
    try {
      client = await pool.connect();
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      client.on('notification', (message) => heard(message.payload ?? ''));
      client.on('error', () => end());
      client.on('end', () => end());
      signal.addEventListener('abort', () => end(), { once: true });
      await client.query(`listen ${QUEUE_CHANNEL}`);
      heard('');
      await ended;
    } catch {
      await delay(500, undefined, { signal }).catch(() => undefined);
    } finally {
      client?.release(true);
    }
  }
}
