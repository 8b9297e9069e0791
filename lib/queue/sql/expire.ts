/**
 * Forced expiration: the mark that lets the next attempt give a message up, whatever its age. It brings no attempt forward,
 * and what is on hold stays there.
 */
import type { ClientBase } from 'pg';

type Queryable = Pick<ClientBase, 'query'>;

/** Resolves to the ids of those that were not marked and are now. */
export async function expireMessages(client: Queryable, queueIds: readonly string[]): Promise<string[]> {
  const result = await client.query<{ queue_id: string }>({
    name: 'expire-messages',
    text: `with locked as materialized (select log, sequence, entry from message
                          where queue_id = any($1::text[]) and not forced_expire and undone > 0
                          order by log, sequence, entry for update)
           update message m set forced_expire = true from locked l
            where m.log = l.log and m.sequence = l.sequence and m.entry = l.entry returning m.queue_id`,
    values: [queueIds],
  });
  return result.rows.map(({ queue_id }) => queue_id);
}
