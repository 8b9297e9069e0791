/**
 * Messages in the queue and the age of the oldest, for the metrics. Postgres' own estimate would do for a dashboard, but an alert
 * on "queue empty" needs the truth near zero: of each shard the oldest messages up to `bound` are counted. Keys grow with
 * time, so the oldest message is among them whatever the size of the queue, and the cost ends there.
 */
import type { ClientBase } from 'pg';

export interface QueueCounts {
  /** Messages that are not on hold, attempted at present or not. */
  readonly messages: number;
  /** Messages on hold. */
  readonly held: number;
  /** Seconds since the oldest message came that is not on hold; 0 where there is none. */
  readonly oldest: number;
  readonly oldestHeld: number;
}

const BOUND = 50_000;

export async function queueCounts(
  client: Pick<ClientBase, 'query'>,
  shards: readonly number[],
  bound = BOUND,
): Promise<QueueCounts> {
  const { rows } = await client.query<QueueCounts>({
    name: 'queue-counts',
    text: `select count(*) filter (where not m.hold)::int as messages,
                  count(*) filter (where m.hold)::int as held,
                  greatest(0, extract(epoch from now() - min(m.arrival_time) filter (where not m.hold)))::float8 as oldest,
                  greatest(0, extract(epoch from now() - min(m.arrival_time) filter (where m.hold)))::float8 as "oldestHeld"
             from log l
             cross join lateral (
               select hold, arrival_time from message where log = l.log order by log, sequence, entry limit $2) m
            where l.shard = any($1::int[]) and l.kind = 'incoming'`,
    values: [shards, bound],
  });
  return rows[0]!;
}
