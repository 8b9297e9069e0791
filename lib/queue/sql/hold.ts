/**
 * Putting messages on hold and releasing them. What is on hold stands at 'infinity', as what is active does, so no poll
 * finds it; the mark on the message tells the two apart. Messages are locked in key order, as everywhere.
 *
 * A delivery that is under way goes on: its outcome is a fact. What it defers stays on hold.
 */
import type { ClientBase } from 'pg';

type Queryable = Pick<ClientBase, 'query'>;

/** Resolves to the ids of those that were not on hold and are now. */
export async function holdMessages(client: Queryable, queueIds: readonly string[]): Promise<string[]> {
  const result = await client.query<{ queue_id: string }>({
    name: 'hold-messages',
    text: `with locked as materialized (select log, sequence, entry from message
                          where queue_id = any($1::text[]) and not hold and undone > 0
                          order by log, sequence, entry for update),
                stopped as (update recipient r set next_attempt = 'infinity' from locked l
                          where r.log = l.log and r.sequence = l.sequence and r.entry = l.entry)
           update message m set hold = true from locked l
            where m.log = l.log and m.sequence = l.sequence and m.entry = l.entry returning m.queue_id`,
    values: [queueIds],
  });
  return result.rows.map(({ queue_id }) => queue_id);
}

/** Makes all their recipients due. Resolves to the ids of those that were on hold, and are forced to expire where `expired`. */
export async function releaseMessages(
  client: Queryable,
  queueIds: readonly string[],
  { expired = false } = {},
): Promise<string[]> {
  const result = await client.query<{ queue_id: string }>({
    name: 'release-messages',
    text: `with locked as materialized (select log, sequence, entry from message
                          where queue_id = any($1::text[]) and hold and (forced_expire or not $2::boolean)
                          order by log, sequence, entry for update),
                due as (update recipient r set next_attempt = now() from locked l
                          where r.log = l.log and r.sequence = l.sequence and r.entry = l.entry)
           update message m set hold = false from locked l
            where m.log = l.log and m.sequence = l.sequence and m.entry = l.entry returning m.queue_id`,
    values: [queueIds, expired],
  });
  return result.rows.map(({ queue_id }) => queue_id);
}
