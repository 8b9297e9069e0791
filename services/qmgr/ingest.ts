/**
 * From arrivals to rows, exactly once: each batch is one statement that moves applied_sequence and inserts the rows, or
 * does neither.
 *
 * A batch that Postgres refuses because of its data is tried again with whatever rows there are already, and then halved until
 * the bad entry is alone; that one is set aside as corrupt and the rest goes on. All of that is one transaction: whoever dies
 * in the middle of it has applied nothing.
 *
 * Throws NotOwner, and what Postgres says. Logs a warning for what is set aside.
 */
import type { ClientBase, Pool } from 'pg';
import { type ShardRule, shardOf } from '../../lib/queue/shard-hash.ts';
import { setCorruptAside } from '../../lib/queue/sql/corrupt.ts';
import {
  claimSubmissionKeys,
  type IngestMessage,
  type IngestRecipient,
  ingest,
  type Known,
} from '../../lib/queue/sql/ingest.ts';
import type { Log } from '../../lib/util/log.ts';
import { type Arrival, type CorruptEntry, chunkSubjects } from './arrival.ts';

export interface IngestContext {
  readonly pool: Pool;
  readonly log: Log;
  readonly shard: number;
  readonly epoch: number;
  readonly logNumber: number;
  readonly rule: ShardRule;
}

/** Somebody else owns the shard, or has applied what we meant to apply. */
export class NotOwner extends Error {
  override readonly name = 'NotOwner';
}

function rows(
  context: IngestContext,
  arrivals: readonly Arrival[],
): { messages: IngestMessage[]; recipients: IngestRecipient[] } {
  const recipients: IngestRecipient[] = [];
  const messages = arrivals.map(({ sequence, entry, envelope, envelopeSubject, resolved }, message) => {
    envelope.recipients.forEach((recipient, offset) => {
      const { transport, nexthop } = resolved[offset]!;
      const shard = shardOf(context.rule, resolved[offset]!);
      const due = shard !== context.shard && !envelope.hold;
      recipients.push({ message, recipient: offset, shard, due, address: recipient.address, transport, nexthop });
    });
    return {
      sequence,
      entry,
      undone: envelope.recipients.length,
      queueId: envelope.queueId,
      sender: envelope.sender,
      arrivalTime: envelope.arrivalTime / 1e6,
      size: envelope.contentSize,
      hold: envelope.hold,
      contentSubject: envelope.contentReference?.subject ?? null,
      envelopeSubject: envelopeSubject ?? null,
    };
  });
  return { messages, recipients };
}

/** PostgreSQL's classes of errors that lie in the data: 22 data exception, 23 integrity, 54 limits. */
const isDataError = (error: unknown): boolean => /^(22|23|54)/.test((error as { code?: string }).code ?? '');

/** applied_sequence before and after, and the id of the last frame. */
interface Span {
  readonly from: number;
  readonly to: number;
  readonly lastFrame: string;
}

type Queryable = Pick<ClientBase, 'query'>;

/** Inserts rows; resolves to the arrivals that have them. In a transaction where one of them has a key. */
async function insert(
  client: Queryable,
  context: IngestContext,
  arrivals: readonly Arrival[],
  span: Span,
  known: Known,
): Promise<Arrival[]> {
  const keyed = arrivals.filter(({ envelope }) => envelope.idempotenceKey !== '');
  let kept = [...arrivals];
  if (keyed.length > 0) {
    const keys = keyed.map(({ envelope }) => ({ key: envelope.idempotenceKey, queueId: envelope.queueId }));
    const fresh = await claimSubmissionKeys(client, keys);
    // The first of several with one key in this batch stands for all.
    kept = kept.filter(({ envelope }) => envelope.idempotenceKey === '' || fresh.delete(envelope.idempotenceKey));
  }
  const { messages, recipients } = rows(context, kept);
  const { shard, epoch, logNumber: log } = context;
  const moved = await ingest(client, { shard, epoch, log, ...span, messages, recipients }, known);
  if (!moved) throw new NotOwner(`shard ${shard} is not ours under epoch ${epoch}`);
  return kept;
}

async function inTransaction<T>(pool: Pool, work: (client: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

async function setRefusedAside(client: Queryable, context: IngestContext, arrival: Arrival, error: unknown) {
  const { sequence, entry, envelopeBytes: envelope, content } = arrival;
  const reason = String(error);
  context.log.warning(`${arrival.envelope.queueId}: set aside as corrupt: ${reason}`);
  const subjects = chunkSubjects(arrival);
  await setCorruptAside(client, { log: context.logNumber, sequence, entry, reason, envelope, content, subjects });
}

/** Inserts by halves, within one transaction, until what Postgres refuses is alone. */
async function insertByHalves(
  client: Queryable,
  context: IngestContext,
  arrivals: readonly Arrival[],
  span: Span,
): Promise<Arrival[]> {
  await client.query('savepoint half');
  try {
    const kept = await insert(client, context, arrivals, span, 'kept');
    await client.query('release savepoint half');
    return kept;
  } catch (error) {
    if (!isDataError(error) || arrivals.length === 0) throw error;
    await client.query('rollback to savepoint half');
    await client.query('release savepoint half');
    if (arrivals.length === 1) {
      await setRefusedAside(client, context, arrivals[0]!, error);
      return insert(client, context, [], span, 'kept');
    }
    const middle = arrivals.length >> 1;
    const { from, lastFrame } = span;
    const head = await insertByHalves(client, context, arrivals.slice(0, middle), { from, to: from, lastFrame });
    return [...head, ...(await insertByHalves(client, context, arrivals.slice(middle), span))];
  }
}

async function apply(context: IngestContext, arrivals: readonly Arrival[], span: Span): Promise<Arrival[]> {
  const keyed = arrivals.some(({ envelope }) => envelope.idempotenceKey !== '');
  const { pool } = context;
  try {
    if (keyed) return await inTransaction(pool, (client) => insert(client, context, arrivals, span, 'refused'));
    return await insert(pool, context, arrivals, span, 'refused');
  } catch (error) {
    if (!isDataError(error)) throw error;
    return inTransaction(pool, (client) => insertByHalves(client, context, arrivals, span));
  }
}

export interface IngestBatch extends Span {
  readonly arrivals: readonly Arrival[];
  readonly corrupt: readonly CorruptEntry[];
}

/** Resolves to the arrivals that have rows: repetitions of a submission that is known, and what is corrupt, have none. */
export async function applyArrivals(context: IngestContext, batch: IngestBatch): Promise<Arrival[]> {
  const { arrivals, corrupt, from, to, lastFrame } = batch;
  for (const aside of corrupt) {
    context.log.warning(`frame ${aside.sequence} entry ${aside.entry}: set aside as corrupt: ${aside.reason}`);
    await setCorruptAside(context.pool, { log: context.logNumber, ...aside });
  }
  return apply(context, arrivals, { from, to, lastFrame });
}
