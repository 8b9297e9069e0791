/** Looks at the queue of a MailServer: its counts for the status, and whether it is well. */
import type { Pool } from 'pg';
import type { MailServerStatus } from '../../lib/mailserver/status.ts';
import { type QueueOverview, queueOverview } from '../../lib/queue/sql/overview.ts';

export interface QueueSeen {
  readonly counts: NonNullable<MailServerStatus['queue']>;
  readonly well: boolean;
  /** Every shard has an owner: a roll-out may go on. */
  readonly owned: boolean;
  readonly reason: string;
  readonly message: string;
  readonly synchronous: boolean;
}

/** A count that moves by less than this is not worth a status update: 61 and 62 seconds are the same to a reader. */
function roundAge(seconds: number): number {
  const unit = seconds < 60 ? 10 : seconds < 3600 ? 60 : 600;
  return Math.floor(seconds / unit) * unit;
}

function judge(overview: QueueOverview, shards: number): Pick<QueueSeen, 'well' | 'reason' | 'message'> {
  const { unowned, applied, corrupt } = overview;
  const missing = Math.max(0, shards - applied.size);
  if (unowned.length + missing > 0)
    return {
      well: false,
      reason: 'ShardsWithoutOwner',
      message: `no qmgr works these shards: ${unowned.join(', ') || 'all'}`,
    };
  if (corrupt > 0)
    return {
      well: false,
      reason: 'Corrupt',
      message: `${corrupt} entries of the log could not be read and were set aside in table corrupt`,
    };
  return { well: true, reason: 'Healthy', message: '' };
}

export async function watchQueue(
  pool: Pool,
  shards: number,
  sequences: ReadonlyMap<number, number>,
): Promise<QueueSeen> {
  const overview = await queueOverview(pool);
  const incoming = [...sequences].reduce(
    (sum, [shard, last]) => sum + Math.max(0, last - (overview.applied.get(shard) ?? 0)),
    0,
  );
  const { active, deferred, messages, corrupt, oldestSeconds, synchronous, unowned, applied } = overview;
  return {
    counts: { messages, active, deferred, incoming, corrupt, oldestSeconds: roundAge(oldestSeconds) },
    owned: unowned.length === 0 && applied.size >= shards,
    synchronous,
    ...judge(overview, shards),
  };
}
