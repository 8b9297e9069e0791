/**
 * Taking deferred recipients whose time has come into the active queue. The index on (shard, next_attempt) gives the ones
 * that are due, in order; what is active stands at 'infinity', out of this poll's way.
 */
import type { ClientBase } from 'pg';
import type { MessageKey } from '../message-key.ts';

type Queryable = Pick<ClientBase, 'query'>;

export interface LastDeferral {
  readonly status: string;
  readonly reason: string;
  readonly remoteMta: string;
}

export interface DueMessage extends MessageKey {
  readonly queueId: string;
  readonly size: number;
  readonly undone: number;
  readonly shard: number;
  readonly delayNotified: boolean;
  /** Given up at this attempt, whatever its age. */
  readonly forcedExpire: boolean;
  /** Null where the envelope stands in its frame, or the row is of a qmgr that did not write it. */
  readonly envelopeSubject: string | null;
  /** Where the entry lies: `log` of the row in the log table, sequence and entry. */
  readonly at: MessageKey;
  readonly recipients: number[];
  /** Attempts that each recipient has behind it. */
  readonly attempts: number[];
  /** Where it is given up by force, what became of each recipient's last attempt; null where there was none. */
  readonly deferrals: (LastDeferral | null)[];
}

/** Marks up to `limit` due recipients active and resolves to their messages. */
export async function activateDue(
  client: Queryable,
  shard: number,
  epoch: number,
  limit: number,
): Promise<DueMessage[]> {
  const result = await client.query<{
    log: number;
    sequence: number;
    entry: number;
    queue_id: string;
    size: number;
    undone: number;
    shard: number;
    delay_notified: boolean;
    forced_expire: boolean;
    envelope_subject: string | null;
    at_log: number;
    at_sequence: number;
    at_entry: number;
    recipients: number[];
    attempts: number[];
    statuses: (string | null)[] | null;
    reasons: (Buffer | null)[] | null;
    remote_mtas: (string | null)[] | null;
  }>({
    name: 'activate-due',
    text: `with owned as (select shard from shard where shard = $1 and epoch = $2 for share),
                due as (select r.log, r.sequence, r.entry, r.recipient from recipient r, owned
                         where r.shard = owned.shard and r.next_attempt <= now() order by r.next_attempt limit $3 for update of r skip locked),
                taken as (update recipient r set next_attempt = 'infinity' from due d
                           where r.log = d.log and r.sequence = d.sequence and r.entry = d.entry and r.recipient = d.recipient
                          returning r.log, r.sequence, r.entry, r.recipient, r.attempts, r.status, r.reason, r.remote_mta)
           select m.log, m.sequence, m.entry, m.queue_id, m.size, m.undone, m.shard, m.delay_notified, m.forced_expire, m.envelope_subject,
                  coalesce(m.at_log, m.log) as at_log, coalesce(m.at_sequence, m.sequence) as at_sequence,
                  coalesce(m.at_entry, m.entry) as at_entry, array_agg(t.recipient order by t.recipient) as recipients,
                  array_agg(t.attempts order by t.recipient) as attempts,
                  case when m.forced_expire then array_agg(t.status order by t.recipient) end as statuses,
                  case when m.forced_expire then array_agg(t.reason order by t.recipient) end as reasons,
                  case when m.forced_expire then array_agg(t.remote_mta order by t.recipient) end as remote_mtas
             from taken t join message m on m.log = t.log and m.sequence = t.sequence and m.entry = t.entry
            where not m.hold
            group by m.log, m.sequence, m.entry`,
    values: [shard, epoch, limit],
  });
  return result.rows.map((row) => ({
    log: row.log,
    sequence: row.sequence,
    entry: row.entry,
    queueId: row.queue_id,
    size: row.size,
    undone: row.undone,
    shard: row.shard,
    delayNotified: row.delay_notified,
    forcedExpire: row.forced_expire,
    envelopeSubject: row.envelope_subject,
    at: { log: row.at_log, sequence: row.at_sequence, entry: row.at_entry },
    recipients: row.recipients,
    attempts: row.attempts,
    deferrals: (row.statuses ?? []).map((status, at) =>
      status === null
        ? null
        : { status, reason: row.reasons?.[at]?.toString('utf8') ?? '', remoteMta: row.remote_mtas?.[at] ?? '' },
    ),
  }));
}

/**
 * Recipients that are marked active and that nobody works on are due at once: the former owner's after a takeover, and
 * those of a statement whose answer was lost. `except` is what this owner has in its active queue. Held mail stays.
 */
export async function reclaimActive(
  client: Queryable,
  shard: number,
  epoch: number,
  except: readonly MessageKey[],
): Promise<number> {
  const result = await client.query(
    `with owned as (select shard from shard where shard = $1 and epoch = $2 for share)
     update recipient r set next_attempt = now() from owned, message m
      where r.shard = owned.shard and r.next_attempt = 'infinity'
        and m.log = r.log and m.sequence = r.sequence and m.entry = r.entry and not m.hold
        and (r.log, r.sequence, r.entry) not in (select * from unnest($3::int[], $4::bigint[], $5::int[]))`,
    [shard, epoch, except.map((k) => k.log), except.map((k) => k.sequence), except.map((k) => k.entry)],
  );
  return result.rowCount ?? 0;
}

/** Writes where the chunks of an envelope are, so that they stay as long as the row. */
export async function saveEnvelopeSubject(client: Queryable, key: MessageKey, subject: string): Promise<void> {
  await client.query({
    name: 'save-envelope-subject',
    text: 'update message set envelope_subject = $4 where log = $1 and sequence = $2 and entry = $3',
    values: [key.log, key.sequence, key.entry, subject],
  });
}

/** Where a message lies at present; undefined when it is finished. */
export async function currentLocation(client: Queryable, key: MessageKey): Promise<MessageKey | undefined> {
  const result = await client.query<MessageKey>({
    name: 'current-location',
    text: `select coalesce(at_log, log) as log, coalesce(at_sequence, sequence) as sequence, coalesce(at_entry, entry) as entry
             from message where log = $1 and sequence = $2 and entry = $3`,
    values: [key.log, key.sequence, key.entry],
  });
  return result.rows[0];
}

/** Messages of a shard without undone recipients: their notices were under way when the owner went. */
export async function finishingMessages(
  client: Queryable,
  shard: number,
  limit: number,
): Promise<(MessageKey & { queueId: string; contentSubject: string | null })[]> {
  const result = await client.query<MessageKey & { queueId: string; contentSubject: string | null }>(
    `select log, sequence, entry, queue_id as "queueId", content_subject as "contentSubject" from message where shard = $1 and undone = 0 limit $2`,
    [shard, limit],
  );
  return result.rows;
}

/** Seconds until the earliest deferred recipient of a shard is due; undefined where none is. */
export async function nextDue(client: Queryable, shard: number): Promise<number | undefined> {
  const result = await client.query<{ seconds: number | null }>({
    name: 'next-due',
    text: `select extract(epoch from next_attempt - now())::float8 as seconds from recipient
            where shard = $1 and next_attempt < 'infinity' order by next_attempt limit 1`,
    values: [shard],
  });
  return result.rows[0]?.seconds ?? undefined;
}

/** Puts recipients back that cannot be attempted now. */
export async function postpone(
  client: Queryable,
  shard: number,
  epoch: number,
  keys: readonly (MessageKey & { recipients: readonly number[] })[],
  seconds: number,
): Promise<void> {
  const flat = keys.flatMap((key) => key.recipients.map((recipient) => ({ ...key, recipient })));
  await client.query({
    name: 'postpone',
    text: `with owned as (select shard from shard where shard = $1 and epoch = $2 for share)
           update recipient r set next_attempt = now() + make_interval(secs => $3)
             from unnest($4::int[], $5::bigint[], $6::int[], $7::int[]) as d(log, sequence, entry, recipient)
            where r.log = d.log and r.sequence = d.sequence and r.entry = d.entry and r.recipient = d.recipient
              and r.shard = $1 and (select count(*) from owned) > 0`,
    values: [
      shard,
      epoch,
      seconds,
      flat.map((k) => k.log),
      flat.map((k) => k.sequence),
      flat.map((k) => k.entry),
      flat.map((k) => k.recipient),
    ],
  });
}
