/**
 * What delivery attempts came to, in batches. Facts (sent, bounced) are taken from any epoch while the recipient is
 * undone; a deferral is scheduling, and only the shard's owner decides on that.
 *
 * Rows are locked in key order, so that two shards that finish parts of the same messages never wait for each other in a
 * circle. Messages with one recipient, which is most of them, need no count: their rows simply go.
 */
import type { ClientBase } from 'pg';
import { keyColumns, type MessageKey } from '../message-key.ts';

export interface RecipientKey extends MessageKey {
  readonly recipient: number;
}

export interface Deferral extends RecipientKey {
  /** Seconds until the next attempt. */
  readonly delay: number;
  readonly status: string;
  readonly reason: Buffer;
  readonly remoteMta: string;
  readonly transport: string;
  readonly nexthop: string;
}

export interface BounceLogRow extends RecipientKey {
  /** 1 bounce, 2 delay, 3 trace */
  readonly kind: 1 | 2 | 3;
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

type Queryable = Pick<ClientBase, 'query'>;

/** Messages whose one recipient was delivered and about which nobody is to be told: both rows go. Keys in key order. */
export async function finishSingle(client: Queryable, keys: readonly MessageKey[]): Promise<void> {
  await client.query({
    name: 'finish-single',
    text: `with done as (select * from unnest($1::int[], $2::bigint[], $3::int[]) as k(log, sequence, entry)),
                gone as (delete from recipient r using done d
                          where r.log = d.log and r.sequence = d.sequence and r.entry = d.entry and r.recipient = 0)
           delete from message m using done d where m.log = d.log and m.sequence = d.sequence and m.entry = d.entry`,
    values: keyColumns(keys),
  });
}

/**
 * Recipients that are done, of messages with several recipients or with a notice to come. Resolves to the messages that
 * have no undone recipient left: they remain until `finishMessages`.
 *
 * Recipients are joined with nothing but their keys: a plan that went by the key of the message would look at all the
 * recipients of a message for each of them.
 */
export async function finishRecipients(client: Queryable, keys: readonly RecipientKey[]): Promise<MessageKey[]> {
  const result = await client.query<{ log: number; sequence: number; entry: number; undone: number }>({
    name: 'finish-recipients',
    text: `with done as (select * from unnest($1::int[], $2::bigint[], $3::int[], $4::int[]) as k(log, sequence, entry, recipient)),
                locked as (select m.log, m.sequence, m.entry from message m
                            where (m.log, m.sequence, m.entry) in (select log, sequence, entry from done)
                            order by m.log, m.sequence, m.entry for update),
                gone as (delete from recipient r using done d
                          where r.log = d.log and r.sequence = d.sequence and r.entry = d.entry and r.recipient = d.recipient
                            and (select count(*) from locked) > 0
                         returning r.log, r.sequence, r.entry),
                counted as (select log, sequence, entry, count(*)::int as n from gone group by 1, 2, 3)
           update message m set undone = m.undone - c.n from counted c
            where m.log = c.log and m.sequence = c.sequence and m.entry = c.entry
           returning m.log, m.sequence, m.entry, m.undone`,
    values: [...keyColumns(keys), keys.map((k) => k.recipient)],
  });
  return result.rows.filter((row) => row.undone <= 0).map(({ log, sequence, entry }) => ({ log, sequence, entry }));
}

/** Messages that have no undone recipient and whose notices are in the log: rows and bounce logs go. */
export async function finishMessages(client: Queryable, keys: readonly MessageKey[]): Promise<void> {
  await client.query({
    name: 'finish-messages',
    text: `with done as (select * from unnest($1::int[], $2::bigint[], $3::int[]) as k(log, sequence, entry)),
                logs as (delete from bounce_log b using done d where b.log = d.log and b.sequence = d.sequence and b.entry = d.entry)
           delete from message m using done d
            where m.log = d.log and m.sequence = d.sequence and m.entry = d.entry and m.undone <= 0`,
    values: keyColumns(keys),
  });
}

/** Resolves to the number of recipients that were deferred: fewer than asked where the shard has another owner. */
export async function deferRecipients(
  client: Queryable,
  shard: number,
  epoch: number,
  rows: readonly Deferral[],
): Promise<number> {
  const result = await client.query({
    name: 'defer-recipients',
    text: `with owned as (select shard from shard where shard = $1 and epoch = $2 for share)
           update recipient r set next_attempt = now() + make_interval(secs => d.delay), attempts = r.attempts + 1,
                  status = d.status, reason = d.reason, remote_mta = d.remote_mta, transport = d.transport, nexthop = d.nexthop
             from unnest($3::int[], $4::bigint[], $5::int[], $6::int[], $7::float8[], $8::text[], $9::bytea[], $10::text[], $11::text[], $12::text[])
               as d(log, sequence, entry, recipient, delay, status, reason, remote_mta, transport, nexthop)
            where r.log = d.log and r.sequence = d.sequence and r.entry = d.entry and r.recipient = d.recipient
              and r.shard = $1 and (select count(*) from owned) > 0`,
    values: [
      shard,
      epoch,
      ...keyColumns(rows),
      rows.map((r) => r.recipient),
      rows.map((r) => r.delay),
      rows.map((r) => r.status),
      rows.map((r) => r.reason),
      rows.map((r) => r.remoteMta),
      rows.map((r) => r.transport),
      rows.map((r) => r.nexthop),
    ],
  });
  return result.rowCount ?? 0;
}

/** What bounce(8) makes notices of; a row that is there already is kept. */
export async function appendBounceLog(client: Queryable, rows: readonly BounceLogRow[]): Promise<void> {
  await client.query({
    name: 'append-bounce-log',
    text: `insert into bounce_log (log, sequence, entry, kind, recipient, address, original_address, dsn_original_recipient,
                                   dsn_notify, status, action, reason, diagnostic_type, diagnostic_text, remote_mta)
           select b.* from unnest($1::int[], $2::bigint[], $3::int[], $4::smallint[], $5::int[], $6::bytea[], $7::bytea[], $8::bytea[],
                                  $9::int[], $10::text[], $11::text[], $12::bytea[], $13::text[], $14::bytea[], $15::text[])
               as b(log, sequence, entry, kind, recipient, address, original_address, dsn_original_recipient,
                    dsn_notify, status, action, reason, diagnostic_type, diagnostic_text, remote_mta)
            where exists (select 1 from message m where (m.log, m.sequence, m.entry) = (b.log, b.sequence, b.entry))
           on conflict do nothing`,
    values: [
      ...keyColumns(rows),
      rows.map((r) => r.kind),
      rows.map((r) => r.recipient),
      rows.map((r) => r.address),
      rows.map((r) => r.originalAddress),
      rows.map((r) => r.dsnOriginalRecipient),
      rows.map((r) => r.dsnNotify),
      rows.map((r) => r.status),
      rows.map((r) => r.action),
      rows.map((r) => r.reason),
      rows.map((r) => r.diagnosticType),
      rows.map((r) => r.diagnosticText),
      rows.map((r) => r.remoteMta),
    ],
  });
}
