/**
 * One batch of the incoming log becomes rows, exactly once: the shard's row moves from the sequence that the reader began
 * at to the one it ends at, in the same statement, and only for the epoch that owns the shard. Where the row does not
 * move nothing is inserted, because every insert joins it.
 *
 * Where a message was delivered before it had rows, moving past it is the record of its delivery: the commit has to be on
 * disk.
 */
import type { ClientBase } from 'pg';

export interface IngestRecipient {
  readonly message: number;
  readonly recipient: number;
  readonly shard: number;
  /** False: another shard's qmgr picks it up at once. */
  readonly active: boolean;
  readonly address: Buffer;
  readonly transport: string;
  readonly nexthop: string;
}

export interface IngestMessage {
  readonly sequence: number;
  readonly entry: number;
  readonly undone: number;
  readonly queueId: string;
  readonly sender: Buffer;
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

const INGEST = `
with moved as (
  update shard set applied_sequence = $4, applied_frame = $5
   where shard = $1 and epoch = $2 and applied_sequence = $3 and incoming_log = $6
  returning shard
), messages as (
  insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size, hold, content_subject, envelope_subject)
  select $6, m.sequence, m.entry, moved.shard, m.undone, m.queue_id, m.sender, to_timestamp(m.arrival), m.size, m.hold, m.content, m.envelope
    from moved, unnest($7::bigint[], $8::int[], $9::int[], $10::text[], $11::bytea[], $12::float8[], $13::bigint[], $14::bool[], $15::text[], $24::text[])
      as m(sequence, entry, undone, queue_id, sender, arrival, size, hold, content, envelope)
  on conflict do nothing
), recipients as (
  insert into recipient (log, sequence, entry, recipient, shard, next_attempt, address, transport, nexthop)
  select $6, r.sequence, r.entry, r.recipient, r.shard, case when r.active then 'infinity' else now() end, r.address, r.transport, r.nexthop
    from moved, unnest($16::bigint[], $17::int[], $18::int[], $19::int[], $20::bool[], $21::bytea[], $22::text[], $23::text[])
      as r(sequence, entry, recipient, shard, active, address, transport, nexthop)
  on conflict do nothing
)
select shard from moved`;

/** False: the shard is not this owner's any more, or somebody else has applied the batch. Nothing was changed then. */
export async function ingest(client: Pick<ClientBase, 'query'>, batch: IngestBatch): Promise<boolean> {
  const { messages, recipients } = batch;
  const result = await client.query({
    name: 'ingest',
    text: INGEST,
    values: [
      batch.shard,
      batch.epoch,
      batch.from,
      batch.to,
      batch.lastFrame,
      batch.log,
      messages.map((m) => m.sequence),
      messages.map((m) => m.entry),
      messages.map((m) => m.undone),
      messages.map((m) => m.queueId),
      messages.map((m) => m.sender),
      messages.map((m) => m.arrivalTime),
      messages.map((m) => m.size),
      messages.map((m) => m.hold),
      messages.map((m) => m.contentSubject),
      recipients.map((r) => messages[r.message]!.sequence),
      recipients.map((r) => messages[r.message]!.entry),
      recipients.map((r) => r.recipient),
      recipients.map((r) => r.shard),
      recipients.map((r) => r.active),
      recipients.map((r) => r.address),
      recipients.map((r) => r.transport),
      recipients.map((r) => r.nexthop),
      messages.map((m) => m.envelopeSubject),
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
