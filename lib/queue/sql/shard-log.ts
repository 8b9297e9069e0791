/**
 * Where a shard stands in its incoming log, and the rows of the log table.
 */
import type { ClientBase } from 'pg';

type Queryable = Pick<ClientBase, 'query'>;

export interface ShardPosition {
  readonly log: number | null;
  /** When that log's stream was made. */
  readonly created: string | null;
  readonly appliedSequence: number;
  readonly appliedFrame: string;
  readonly trimmedSequence: number;
}

export async function shardPosition(client: Queryable, shard: number): Promise<ShardPosition | undefined> {
  const result = await client.query<{
    log: number | null;
    created: string | null;
    applied_sequence: number;
    applied_frame: string;
    trimmed_sequence: number;
  }>(
    `select s.incoming_log as log, split_part(l.created, '#', 1) as created, s.applied_sequence, s.applied_frame, s.trimmed_sequence
       from shard s left join log l on l.log = s.incoming_log where s.shard = $1`,
    [shard],
  );
  const row = result.rows[0];
  return row === undefined
    ? undefined
    : {
        log: row.log,
        created: row.created,
        appliedSequence: row.applied_sequence,
        appliedFrame: row.applied_frame,
        trimmedSequence: row.trimmed_sequence,
      };
}

/** Up to where a shard has applied which life of its stream. */
export interface AppliedPosition {
  readonly created: string;
  readonly appliedSequence: number;
}

/** By shard. */
export async function appliedPositions(client: Queryable): Promise<Map<number, AppliedPosition>> {
  const result = await client.query<{ shard: number; created: string; applied_sequence: number }>(
    `select s.shard, split_part(l.created, '#', 1) as created, s.applied_sequence
       from shard s join log l on l.log = s.incoming_log`,
  );
  return new Map(
    result.rows.map((row) => [row.shard, { created: row.created, appliedSequence: row.applied_sequence }]),
  );
}

/**
 * The number of this life of the stream; a stream that was made anew gets another. `created` is when the server says that it
 * was made; for one that was restored, with the same time, a `#` and the time at which that was noticed come after it.
 */
export async function logNumber(
  client: Queryable,
  shard: number,
  kind: 'incoming' | 'deferred',
  stream: string,
  created: string,
): Promise<number> {
  const result = await client.query<{ log: number }>(
    `with made as (insert into log (shard, kind, stream, created) values ($1, $2, $3, $4) on conflict (stream, created) do nothing returning log)
     select log from made union all select log from log where stream = $3 and created = $4`,
    [shard, kind, stream, created],
  );
  return result.rows[0]!.log;
}

/** The names of streams by log number. */
export async function logStreams(client: Queryable): Promise<Map<number, { stream: string; created: string }>> {
  const result = await client.query<{ log: number; stream: string; created: string }>(
    'select log, stream, created from log',
  );
  return new Map(result.rows.map((row) => [row.log, { stream: row.stream, created: row.created }]));
}

/** Points the shard at another life of its stream, to be read from its first sequence. */
export async function beginLog(client: Queryable, shard: number, epoch: number, log: number): Promise<boolean> {
  const result = await client.query(
    `update shard set incoming_log = $3, applied_sequence = 0, applied_frame = '', trimmed_sequence = 0 where shard = $1 and epoch = $2`,
    [shard, epoch, log],
  );
  return result.rowCount === 1;
}
