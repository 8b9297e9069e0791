/**
 * Which notices messages without undone recipients still need, and the mark of a delay notice.
 */
import type { ClientBase } from 'pg';
import type { MessageKey } from '../message-key.ts';

type Queryable = Pick<ClientBase, 'query'>;

export interface NoticeDue extends MessageKey {
  /** 1 bounce, 3 trace */
  readonly kind: 1 | 3;
}

export async function noticesDue(client: Queryable, keys: readonly MessageKey[]): Promise<NoticeDue[]> {
  const result = await client.query<NoticeDue>({
    name: 'notices-due',
    text: `select distinct b.log, b.sequence, b.entry, b.kind from bounce_log b
             join unnest($1::int[], $2::bigint[], $3::int[]) as k(log, sequence, entry) using (log, sequence, entry)
            where b.kind in (1, 3)`,
    values: [keys.map((k) => k.log), keys.map((k) => k.sequence), keys.map((k) => k.entry)],
  });
  return result.rows;
}

/** After the delay notice is in the log: it is sent once, and its lines go. */
export async function markDelayNotified(client: Queryable, key: MessageKey): Promise<void> {
  await client.query({
    name: 'mark-delay-notified',
    text: `with gone as (delete from bounce_log where log = $1 and sequence = $2 and entry = $3 and kind = 2)
           update message set delay_notified = true where log = $1 and sequence = $2 and entry = $3`,
    values: [key.log, key.sequence, key.entry],
  });
}

/** After a notice about some recipients of a message that goes on: what it told is not told again. */
export async function forgetTold(
  client: Queryable,
  key: MessageKey,
  kind: NoticeDue['kind'],
  recipients: readonly number[],
): Promise<void> {
  await client.query({
    name: 'forget-told',
    text: `delete from bounce_log where log = $1 and sequence = $2 and entry = $3 and kind = $4 and recipient = any($5::int[])`,
    values: [key.log, key.sequence, key.entry, kind, recipients],
  });
}

/** The recipients of a message whose failure, or whose report, has not been told. */
export async function untoldRecipients(
  client: Queryable,
  key: MessageKey,
): Promise<{ kind: NoticeDue['kind']; recipients: number[] }[]> {
  const result = await client.query<{ kind: NoticeDue['kind']; recipients: number[] }>({
    name: 'untold-recipients',
    text: `select kind, array_agg(recipient) as recipients from bounce_log
            where log = $1 and sequence = $2 and entry = $3 and kind in (1, 3) group by kind order by kind`,
    values: [key.log, key.sequence, key.entry],
  });
  return result.rows;
}
