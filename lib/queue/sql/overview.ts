/**
 * The queue at a glance, for whoever watches a fleet from outside: who owns the shards, how far they have read, what was set
 * aside, and how safe a commit is. Counts end at a bound, so the cost does not grow with the queue.
 */
import type { ClientBase } from 'pg';
import { queueCounts } from './counts.ts';

export interface QueueOverview {
  readonly active: number;
  readonly deferred: number;
  readonly messages: number;
  readonly corrupt: number;
  /** Age of the oldest message; 0 where the queue is empty. */
  readonly oldestSeconds: number;
  /** Shards that no qmgr owns at this moment. */
  readonly unowned: readonly number[];
  /** Sequence up to which each shard's incoming log has been read. */
  readonly applied: ReadonlyMap<number, number>;
  /** Whether a commit waits for a second server. */
  readonly synchronous: boolean;
}

const COUNT_BOUND = 100_000;

export async function queueOverview(client: Pick<ClientBase, 'query'>): Promise<QueueOverview> {
  const { rows } = await client.query<{ shard: number; owned: boolean; applied: number }>(
    'select shard, owner is not null and lease_until > now() as owned, applied_sequence as applied from shard order by shard',
  );
  const counts = await queueCounts(
    client,
    rows.map(({ shard }) => shard),
  );
  const rest = await client.query<{ messages: number; corrupt: number; synchronous: boolean }>(
    `select (select count(*)::int from (select 1 from message limit $1) m) as messages,
            (select count(*)::int from (select 1 from corrupt limit $1) c) as corrupt,
            current_setting('synchronous_commit') not in ('off', 'local')
              and current_setting('synchronous_standby_names') <> '' as synchronous`,
    [COUNT_BOUND],
  );
  const { messages, corrupt, synchronous } = rest.rows[0]!;
  return {
    active: counts.active,
    deferred: counts.deferred,
    messages,
    corrupt,
    oldestSeconds: Math.round(Math.max(counts.oldestActive, counts.oldestDeferred)),
    unowned: rows.filter(({ owned }) => !owned).map(({ shard }) => shard),
    applied: new Map(rows.map(({ shard, applied }) => [shard, applied])),
    synchronous,
  };
}
