/**
 * What trimming a log has to know: where the first message lies that is undone and has not moved, and which entries are to
 * be copied forward. `from` is the floor that was found last: the index scan begins there, so its cost is that of what is
 * kept, never of what was deleted or moved.
 */
import type { ClientBase } from 'pg';
import type { MessageKey } from '../message-key.ts';

type Queryable = Pick<ClientBase, 'query'>;

export interface LocatedMessage extends MessageKey {
  readonly at: MessageKey;
}

/** The lowest sequence of an incoming log at which an undone entry still lies; undefined where there is none. */
export async function firstUnmoved(client: Queryable, log: number, from: number): Promise<number | undefined> {
  const result = await client.query<{ sequence: number }>({
    name: 'first-unmoved',
    text: `select sequence from message where log = $1 and sequence >= $2 and at_log is null order by log, sequence, entry limit 1`,
    values: [log, from],
  });
  return result.rows[0]?.sequence;
}

/** Entries that still lie in an incoming log below `to`, in order. */
export async function unmovedBelow(
  client: Queryable,
  log: number,
  from: number,
  to: number,
  limit: number,
): Promise<LocatedMessage[]> {
  const result = await client.query<MessageKey>({
    name: 'unmoved-below',
    text: `select log, sequence, entry from message where log = $1 and sequence >= $2 and sequence < $3 and at_log is null
            order by log, sequence, entry limit $4`,
    values: [log, from, to, limit],
  });
  return result.rows.map((key) => ({ ...key, at: key }));
}

/** Entries that lie in a deferred log from `from` on, in order. */
export async function movedFrom(
  client: Queryable,
  log: number,
  from: number,
  limit: number,
): Promise<LocatedMessage[]> {
  const result = await client.query<MessageKey & { at_sequence: number; at_entry: number }>({
    name: 'moved-from',
    text: `select log, sequence, entry, at_sequence, at_entry from message where at_log = $1 and at_sequence >= $2
            order by at_log, at_sequence limit $3`,
    values: [log, from, limit],
  });
  return result.rows.map(({ log: l, sequence, entry, at_sequence, at_entry }) => ({
    log: l,
    sequence,
    entry,
    at: { log, sequence: at_sequence, entry: at_entry },
  }));
}

/** Octets that the undone entries of a deferred log take there. Looks at the row of each. */
export async function liveOctets(client: Queryable, log: number): Promise<number> {
  const result = await client.query<{ octets: number }>({
    name: 'live-octets',
    text: `select coalesce(sum(coalesce(at_octets, case when content_subject is null then size else 0 end)), 0)::bigint as octets
             from message where at_log = $1`,
    values: [log],
  });
  return result.rows[0]!.octets;
}

export interface Move {
  readonly from: LocatedMessage;
  readonly to: MessageKey;
  /** What the entry takes there. */
  readonly octets: number;
}

/**
 * Compare-and-set of locations: an entry that has moved or ended meanwhile is left as it is. So are all where the shard has
 * another owner, who may have purged the copies already, because no row named them. False then.
 */
export async function relocate(
  client: Queryable,
  shard: number,
  epoch: number,
  moves: readonly Move[],
): Promise<boolean> {
  const result = await client.query<{ owned: boolean }>({
    name: 'relocate',
    text: `with owned as (select shard from shard where shard = $11 and epoch = $12 for share),
                moved as (
           update message m set at_log = v.to_log, at_sequence = v.to_sequence, at_entry = v.to_entry, at_octets = v.octets
             from unnest($1::int[], $2::bigint[], $3::int[], $4::int[], $5::bigint[], $6::int[], $7::int[], $8::bigint[], $9::int[], $10::int[])
               as v(log, sequence, entry, from_log, from_sequence, from_entry, to_log, to_sequence, to_entry, octets)
            where (select count(*) from owned) > 0 and m.log = v.log and m.sequence = v.sequence and m.entry = v.entry
              and coalesce(m.at_log, m.log) = v.from_log and coalesce(m.at_sequence, m.sequence) = v.from_sequence
              and coalesce(m.at_entry, m.entry) = v.from_entry)
           select exists (select from owned) as owned`,
    values: [
      moves.map((m) => m.from.log),
      moves.map((m) => m.from.sequence),
      moves.map((m) => m.from.entry),
      moves.map((m) => m.from.at.log),
      moves.map((m) => m.from.at.sequence),
      moves.map((m) => m.from.at.entry),
      moves.map((m) => m.to.log),
      moves.map((m) => m.to.sequence),
      moves.map((m) => m.to.entry),
      moves.map((m) => m.octets),
      shard,
      epoch,
    ],
  });
  return result.rows[0]!.owned;
}

/** Remembers the floor, for the next owner to begin at. */
export async function saveFloor(client: Queryable, shard: number, epoch: number, floor: number): Promise<void> {
  await client.query({
    name: 'save-floor',
    text: 'update shard set trimmed_sequence = $3 where shard = $1 and epoch = $2 and trimmed_sequence < $3',
    values: [shard, epoch, floor],
  });
}

/**
 * Which of these subjects of the CONTENT stream a message still refers to, for its content or for its envelope, or an entry
 * that was set aside.
 */
export async function referredContent(client: Queryable, subjects: readonly string[]): Promise<Set<string>> {
  const result = await client.query<{ subject: string }>({
    name: 'referred-content',
    text: `select content_subject as subject from message where content_subject = any($1::text[])
           union all select envelope_subject from message where envelope_subject = any($1::text[])
           union all select unnest(subjects) from corrupt where subjects && $1::text[]`,
    values: [subjects],
  });
  return new Set(result.rows.map((row) => row.subject));
}
