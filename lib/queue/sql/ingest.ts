/**
 * One batch of the incoming log becomes rows, exactly once: the shard's row moves from the sequence that the reader began
 * at to the one it ends at, in the same statement, and only for the epoch that owns the shard. Where the row does not
 * move nothing is inserted, because every insert joins it.
 *
 * Where a message was delivered before it had rows, moving past it is the record of its delivery: the commit has to be on
 * disk.
 *
 * The rows are most of what Postgres has to do for a message that waits, so the statement is made for them: arrays come in
 * binary form, and several `unnest` in a select list step together without a tuple store for each, which they have in FROM.
 */
import type { ClientBase } from 'pg';
import { boolArray, byteaArray, float8Array, int4Array, int8Array, textArray } from './binary-arrays.ts';

export interface IngestRecipient {
  readonly message: number;
  readonly recipient: number;
  readonly shard: number;
  /** True: another shard's qmgr picks it up at once. False: it is in this one's active queue, or on hold. */
  readonly due: boolean;
  readonly address: string;
  readonly transport: string;
  readonly nexthop: string;
}

export interface IngestMessage {
  readonly sequence: number;
  readonly entry: number;
  readonly undone: number;
  readonly queueId: string;
  readonly sender: string;
  /** Seconds since 1970. */
  readonly arrivalTime: number;
  readonly size: number;
  readonly hold: boolean;
  readonly contentSubject: string | null;
  readonly envelopeSubject: string | null;
}

export interface IngestBatch {
  readonly shard: number;
  readonly epoch: number;
  readonly log: number;
  /** applied_sequence before and after. */
  readonly from: number;
  readonly to: number;
  readonly lastFrame: string;
  readonly messages: readonly IngestMessage[];
  readonly recipients: readonly IngestRecipient[];
}

/**
 * What becomes of rows that are there already: they refuse the batch, as any data error does, or they are kept as they are and
 * the others come beside them. As a rule there are none, since the shard's row moves past each sequence once, and to look for
 * them first costs Postgres a third more. There are some where a log that was replaced by another comes back: it is known by
 * its number, and read from its first sequence again.
 */
export type Known = 'refused' | 'kept';

const text = (conflict: string) => `
with moved as (
  update shard set applied_sequence = $4, applied_frame = $5
   where shard = $1 and epoch = $2 and applied_sequence = $3 and incoming_log = $6
  returning shard
), messages as (
  insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size, hold, content_subject, envelope_subject)
  select $6, m.sequence, m.entry, m.shard, m.undone, m.queue_id, m.sender, to_timestamp(m.arrival), m.size, m.hold, m.content, m.envelope
    from (select shard, unnest($7::bigint[]) as sequence, unnest($8::int[]) as entry, unnest($9::int[]) as undone,
                 unnest($10::text[]) as queue_id, unnest($11::bytea[]) as sender, unnest($12::float8[]) as arrival,
                 unnest($13::bigint[]) as size, unnest($14::bool[]) as hold, unnest($15::text[]) as content,
                 unnest($16::text[]) as envelope
            from moved) m
  ${conflict}
), recipients as (
  insert into recipient (log, sequence, entry, recipient, shard, next_attempt, address, transport, nexthop)
  select $6, r.sequence, r.entry, r.recipient, r.shard, case when r.due then now() else 'infinity' end, r.address, r.transport, r.nexthop
    from (select unnest($17::bigint[]) as sequence, unnest($18::int[]) as entry, unnest($19::int[]) as recipient,
                 unnest($20::int[]) as shard, unnest($21::bool[]) as due, unnest($22::bytea[]) as address,
                 unnest($23::text[]) as transport, unnest($24::text[]) as nexthop
            from moved) r
  ${conflict}
)
select shard from moved`;

const STATEMENTS: Readonly<Record<Known, { readonly name: string; readonly text: string }>> = {
  refused: { name: 'ingest', text: text('') },
  kept: { name: 'ingest-again', text: text('on conflict do nothing') },
};

/** False: the shard is not this owner's any more, or somebody else has applied the batch. Nothing was changed then. */
export async function ingest(
  client: Pick<ClientBase, 'query'>,
  batch: IngestBatch,
  known: Known = 'refused',
): Promise<boolean> {
  const { messages, recipients } = batch;
  const result = await client.query({
    ...STATEMENTS[known],
    values: [
      batch.shard,
      batch.epoch,
      batch.from,
      batch.to,
      batch.lastFrame,
      batch.log,
      int8Array(messages.map((m) => m.sequence)),
      int4Array(messages.map((m) => m.entry)),
      int4Array(messages.map((m) => m.undone)),
      textArray(messages.map((m) => m.queueId)),
      byteaArray(messages.map((m) => m.sender)),
      float8Array(messages.map((m) => m.arrivalTime)),
      int8Array(messages.map((m) => m.size)),
      boolArray(messages.map((m) => m.hold)),
      textArray(messages.map((m) => m.contentSubject)),
      textArray(messages.map((m) => m.envelopeSubject)),
      int8Array(recipients.map((r) => messages[r.message]!.sequence)),
      int4Array(recipients.map((r) => messages[r.message]!.entry)),
      int4Array(recipients.map((r) => r.recipient)),
      int4Array(recipients.map((r) => r.shard)),
      boolArray(recipients.map((r) => r.due)),
      byteaArray(recipients.map((r) => r.address)),
      textArray(recipients.map((r) => r.transport)),
      textArray(recipients.map((r) => r.nexthop)),
    ],
  });
  return result.rowCount === 1;
}

/** Says of each key whether it is seen for the first time; the others are repetitions of a submission that is known. */
export async function claimSubmissionKeys(
  client: Pick<ClientBase, 'query'>,
  keys: readonly { key: string; queueId: string }[],
): Promise<Set<string>> {
  const result = await client.query<{ key: string }>({
    name: 'claim-submission-keys',
    text: `insert into submission_key (key, queue_id)
           select distinct on (key) key, queue_id from unnest($1::text[], $2::text[]) as k(key, queue_id) order by key
           on conflict (key) do nothing returning key`,
    values: [keys.map((k) => k.key), keys.map((k) => k.queueId)],
  });
  return new Set(result.rows.map((row) => row.key));
}

/** Deletes up to `limit` keys that were claimed more than `age` seconds ago; resolves to how many there were. */
export async function forgetSubmissionKeys(
  client: Pick<ClientBase, 'query'>,
  age: number,
  limit: number,
): Promise<number> {
  const result = await client.query({
    name: 'forget-submission-keys',
    text: `delete from submission_key where key in
             (select key from submission_key where created_at < now() - make_interval(secs => $1) order by created_at limit $2)`,
    values: [age, limit],
  });
  return result.rowCount ?? 0;
}
