/**
 * The queue at a glance, for whoever watches a fleet from outside: who owns the shards, how far they have read, what was set
 * aside, and how safe a commit is. Counts end at a bound, so the cost does not grow with the queue.
 */
import type { ClientBase } from 'pg';
import { queueCounts } from './counts.ts';

export interface QueueOverview {
  /** Messages by queue, as mailq(1) names them. */
  readonly active: number;
  readonly deferred: number;
  readonly hold: number;
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

/** Entries that were set aside, and recipients under way, beyond which counts end. */
const COUNT_BOUND = 20_000;

export async function queueOverview(client: Pick<ClientBase, 'query'>): Promise<QueueOverview> {
  const { rows } = await client.query<{ shard: number; owned: boolean; applied: number }>(
    'select shard, owner is not null and lease_until > now() as owned, applied_sequence as applied from shard order by shard',
  );
  const shards = rows.map(({ shard }) => shard);
  const { messages, held, oldest, oldestHeld } = await queueCounts(client, shards);
  const rest = await client.query<{ active: number; corrupt: number; synchronous: boolean }>(
    `select (select count(distinct (log, sequence, entry))::int
               from (select log, sequence, entry from recipient
                      where shard = any($2::int[]) and next_attempt = 'infinity' limit $1) r
               join message using (log, sequence, entry) where not hold) as active,
            (select count(*)::int from (select 1 from corrupt limit $1) c) as corrupt,
            current_setting('synchronous_commit') not in ('off', 'local')
              and current_setting('synchronous_standby_names') <> '' as synchronous`,
    [COUNT_BOUND, shards],
  );
  const { active, corrupt, synchronous } = rest.rows[0]!;
  return {
    active,
    deferred: Math.max(0, messages - active),
    hold: held,
    messages: messages + held,
    corrupt,
    oldestSeconds: Math.round(Math.max(oldest, oldestHeld)),
    unowned: rows.filter(({ owned }) => !owned).map(({ shard }) => shard),
    applied: new Map(rows.map(({ shard, applied }) => [shard, applied])),
    synchronous,
  };
}
