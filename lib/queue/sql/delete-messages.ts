/**
 * Deleting messages on request: message, recipients and bounce logs go in one statement, and nobody is told. Messages are
 * locked in key order, as everywhere.
 *
 * What a delivery agent has in its hands may still be delivered; its outcome finds no row. Content in chunks is named in
 * the result, for the caller to purge.
 */
import type { ClientBase } from 'pg';

type Queryable = Pick<ClientBase, 'query'>;

export interface DeletedMessage {
  readonly queueId: string;
  readonly contentSubject: string | null;
}

const DELETE = `gone as (delete from message m using locked l
            where m.log = l.log and m.sequence = l.sequence and m.entry = l.entry
           returning m.log, m.sequence, m.entry, m.queue_id, m.content_subject),
     recipients as (delete from recipient r using gone g
            where r.log = g.log and r.sequence = g.sequence and r.entry = g.entry),
     logs as (delete from bounce_log b using gone g
            where b.log = g.log and b.sequence = g.sequence and b.entry = g.entry)
select queue_id as "queueId", content_subject as "contentSubject" from gone`;

export async function deleteByQueueId(client: Queryable, queueIds: readonly string[]): Promise<DeletedMessage[]> {
  const result = await client.query<DeletedMessage>({
    name: 'delete-by-queue-id',
    text: `with locked as materialized (select log, sequence, entry from message where queue_id = any($1::text[])
                          order by log, sequence, entry for update),
     ${DELETE}`,
    values: [queueIds],
  });
  return result.rows;
}

/** The server's time, before which what is deleted must have arrived. */
export async function deletionMoment(client: Queryable): Promise<string> {
  const result = await client.query<{ moment: string }>('select now()::text as moment');
  return result.rows[0]!.moment;
}

/** Up to `limit` of the messages that arrived before `moment`; an empty result: there are no more. */
export async function deleteArrivedBefore(client: Queryable, moment: string, limit: number): Promise<DeletedMessage[]> {
  const result = await client.query<DeletedMessage>({
    name: 'delete-arrived-before',
    text: `with locked as materialized (select log, sequence, entry from message where arrival_time <= $1::timestamptz
                          order by log, sequence, entry limit $2 for update),
     ${DELETE}`,
    values: [moment, limit],
  });
  return result.rows;
}
