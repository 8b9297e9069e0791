/**
 * Names of streams by log number, asked of Postgres once each. A life of a stream that is over has no name: its entries
 * are nowhere.
 */
import type { Pool } from 'pg';
import { logStreams } from '../../lib/queue/sql/shard-log.ts';

export function streamNames(pool: Pool): (log: number) => Promise<string | undefined> {
  let known = new Map<number, { stream: string; created: string }>();
  return async (log) => {
    if (!known.has(log)) known = await logStreams(pool);
    return known.get(log)?.stream;
  };
}
