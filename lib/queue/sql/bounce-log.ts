/**
 * What bounce(8) reads: where a message is, and what became of its recipients. Both are look-ups by primary key for many
 * messages at once; the log of one message is read in pages, because a message may have any number of recipients.
 */
import type { ClientBase } from 'pg';
import { keyColumns, keyText, type MessageKey } from '../message-key.ts';

type Queryable = Pick<ClientBase, 'query'>;

/** 1 bounce, 2 delay, 3 trace */
export type BounceLogKind = 1 | 2 | 3;

export interface NoticedMessage extends MessageKey {
  readonly queueId: string;
  /** The stream where the entry lies at present, its sequence and entry there. */
  readonly at: { readonly stream: string; readonly sequence: number; readonly entry: number };
}

export interface BounceLogRecord {
  readonly recipient: number;
  readonly address: Buffer;
  readonly originalAddress: Buffer;
  readonly dsnOriginalRecipient: Buffer;
  readonly dsnNotify: number;
  readonly status: string;
  readonly action: string;
  readonly reason: Buffer;
  readonly diagnosticType: string;
  readonly diagnosticText: Buffer;
  readonly remoteMta: string;
}

const KEYS = 'unnest($1::int[], $2::bigint[], $3::int[]) as k(log, sequence, entry)';

/** The messages among `keys` that are in the queue, by keyText. */
export async function noticedMessages(
  client: Queryable,
  keys: readonly MessageKey[],
): Promise<Map<string, NoticedMessage>> {
  const result = await client.query<{
    log: number;
    sequence: number;
    entry: number;
    queue_id: string;
    stream: string;
    at_sequence: number;
    at_entry: number;
  }>({
    name: 'noticed-messages',
    text: `select m.log, m.sequence, m.entry, m.queue_id, l.stream,
                  coalesce(m.at_sequence, m.sequence) as at_sequence, coalesce(m.at_entry, m.entry) as at_entry
             from ${KEYS} join message m using (log, sequence, entry) join log l on l.log = coalesce(m.at_log, m.log)`,
    values: keyColumns(keys),
  });
  return new Map(
    result.rows.map((row) => {
      const key = { log: row.log, sequence: Number(row.sequence), entry: row.entry };
      const at = { stream: row.stream, sequence: Number(row.at_sequence), entry: row.at_entry };
      return [keyText(key), { ...key, queueId: row.queue_id, at }];
    }),
  );
}

/** The next up to `limit` records of one message's log, in the order of recipients, after recipient `after` (-1: all). */
export async function bounceLogPage(
  client: Queryable,
  key: MessageKey,
  kind: BounceLogKind,
  after: number,
  limit: number,
): Promise<BounceLogRecord[]> {
  const result = await client.query<BounceLogRecord>({
    name: 'bounce-log-page',
    text: `select recipient, address, original_address as "originalAddress", dsn_original_recipient as "dsnOriginalRecipient",
                  dsn_notify as "dsnNotify", status, action, reason, diagnostic_type as "diagnosticType",
                  diagnostic_text as "diagnosticText", remote_mta as "remoteMta"
             from bounce_log
            where log = $1 and sequence = $2 and entry = $3 and kind = $4 and recipient > $5
            order by recipient limit $6`,
    values: [key.log, key.sequence, key.entry, kind, after, limit],
  });
  return result.rows;
}
