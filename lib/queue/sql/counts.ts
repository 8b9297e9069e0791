/**
 * Queue depth and the age of the oldest message of some shards, for the metrics. Postgres' own estimate would do for a
 * dashboard, but an alert on "queue empty" needs the truth near zero: the count ends at `bound`.
 */
import type { ClientBase } from 'pg';

export interface QueueCounts {
  readonly active: number;
  readonly deferred: number;
  /** Seconds; 0 where the queue is empty. */
  readonly oldestActive: number;
  readonly oldestDeferred: number;
}

const COUNT_BOUND = 100_000;

export async function queueCounts(client: Pick<ClientBase, 'query'>, shards: readonly number[]): Promise<QueueCounts> {
  const result = await client.query<{
    active: number;
    deferred: number;
    oldest_active: number | null;
    oldest_deferred: number | null;
  }>({
    name: 'queue-counts',
    text: `select (select count(*)::int from (select 1 from recipient where shard = any($1::int[]) and next_attempt = 'infinity' limit $2) a) as active,
                  (select count(*)::int from (select 1 from recipient where shard = any($1::int[]) and next_attempt < 'infinity' limit $2) d) as deferred,
                  (select extract(epoch from now() - min(arrival_time))::float8 from
                    (select m.arrival_time from recipient r join message m using (log, sequence, entry)
                      where r.shard = any($1::int[]) and r.next_attempt = 'infinity' limit 1000) o) as oldest_active,
                  (select extract(epoch from now() - min(arrival_time))::float8 from
                    (select m.arrival_time from recipient r join message m using (log, sequence, entry)
                      where r.shard = any($1::int[]) and r.next_attempt < 'infinity' order by r.next_attempt desc limit 1000) o) as oldest_deferred`,
    values: [shards, COUNT_BOUND],
  });
  const row = result.rows[0]!;
  return {
    active: row.active,
    deferred: row.deferred,
    oldestActive: row.oldest_active ?? 0,
    oldestDeferred: row.oldest_deferred ?? 0,
  };
}
