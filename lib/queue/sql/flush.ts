/**
 * Making deferred recipients due at once. What is active or on hold stands at 'infinity' and is left alone.
 *
 * In batches by shard, along the index on (shard, next_attempt): each is a short transaction that qmgr's own writes need
 * not wait for, and rows that are locked by those are left for the next round of the poll. `moment`, asked for once, is the
 * time that flushed rows get, so a batch does not find them again.
 */
import type { ClientBase } from 'pg';

type Queryable = Pick<ClientBase, 'query'>;

/** The server's time as text with all its digits, and the shards there are. */
export async function flushPlan(client: Queryable): Promise<{ moment: string; shards: number[] }> {
  const result = await client.query<{ moment: string; shards: number[] | null }>(
    'select now()::text as moment, (select array_agg(shard order by shard) from shard) as shards',
  );
  const { moment, shards } = result.rows[0]!;
  return { moment, shards: shards ?? [] };
}

/** Resolves to the number of recipients that were made due; fewer than `limit`: there are no more. */
export async function flushBatch(client: Queryable, shard: number, moment: string, limit: number): Promise<number> {
  const result = await client.query({
    name: 'flush-batch',
    text: `with late as (select log, sequence, entry, recipient from recipient
                          where shard = $1 and next_attempt > $2::timestamptz and next_attempt < 'infinity'
                          order by next_attempt limit $3 for update skip locked)
           update recipient r set next_attempt = $2::timestamptz from late l
            where r.log = l.log and r.sequence = l.sequence and r.entry = l.entry and r.recipient = l.recipient`,
    values: [shard, moment, limit],
  });
  return result.rowCount ?? 0;
}

/** The same for the recipients in one domain, whatever their number is: the look at each address is the cost. */
export async function flushSite(client: Queryable, site: string, moment: string): Promise<number> {
  const result = await client.query({
    name: 'flush-site',
    text: `with late as (select log, sequence, entry, recipient from recipient
                          where next_attempt > $2::timestamptz and next_attempt < 'infinity'
                            and right(lower(encode(address, 'escape')), length(encode($1::bytea, 'escape'))) = lower(encode($1::bytea, 'escape'))
                          order by log, sequence, entry, recipient for update skip locked)
           update recipient r set next_attempt = $2::timestamptz from late l
            where r.log = l.log and r.sequence = l.sequence and r.entry = l.entry and r.recipient = l.recipient`,
    values: [Buffer.from(`@${site}`), moment],
  });
  return result.rowCount ?? 0;
}

export async function flushMessage(client: Queryable, queueId: string, moment: string): Promise<number> {
  const result = await client.query({
    name: 'flush-message',
    text: `update recipient r set next_attempt = $2::timestamptz from message m
            where m.queue_id = $1 and r.log = m.log and r.sequence = m.sequence and r.entry = m.entry
              and r.next_attempt > $2::timestamptz and r.next_attempt < 'infinity'`,
    values: [queueId, moment],
  });
  return result.rowCount ?? 0;
}
