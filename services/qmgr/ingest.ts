/**
 * From arrivals to rows, exactly once: each batch is one statement that moves applied_sequence and inserts the rows, or
 * does neither.
 *
 * A batch that Postgres refuses because of its data is halved until the bad entry is alone; that one is set aside as
 * corrupt and the rest goes on.
 *
 * Throws NotOwner, and what Postgres says. Logs a warning for what is set aside.
 */
import type { Pool } from 'pg';
import { type ShardRule, shardOf } from '../../lib/queue/shard-hash.ts';
import { setCorruptAside } from '../../lib/queue/sql/corrupt.ts';
import { claimSubmissionKeys, type IngestMessage, type IngestRecipient, ingest } from '../../lib/queue/sql/ingest.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Arrival, CorruptEntry } from './arrival.ts';

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
      const active = shard === context.shard && !envelope.hold;
      recipients.push({
        message,
        recipient: offset,
        shard,
        active,
        address: Buffer.from(recipient.address),
        transport,
        nexthop,
      });
    });
    return {
      sequence,
      entry,
      undone: envelope.recipients.length,
      queueId: envelope.queueId,
      sender: Buffer.from(envelope.sender),
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

async function apply(
  context: IngestContext,
  arrivals: readonly Arrival[],
  from: number,
  to: number,
  lastFrame: string,
): Promise<Arrival[]> {
  const client = await context.pool.connect();
  try {
    const keyed = arrivals.filter(({ envelope }) => envelope.idempotenceKey !== '');
    let kept = [...arrivals];
    if (keyed.length > 0) {
      await client.query('begin');
      const keys = keyed.map(({ envelope }) => ({ key: envelope.idempotenceKey, queueId: envelope.queueId }));
      const fresh = await claimSubmissionKeys(client, keys);
      // The first of several with one key in this batch stands for all.
      kept = kept.filter(({ envelope }) => envelope.idempotenceKey === '' || fresh.delete(envelope.idempotenceKey));
    }
    const { messages, recipients } = rows(context, kept);
    const { shard, epoch, logNumber: log } = context;
    const moved = await ingest(client, { shard, epoch, log, from, to, lastFrame, messages, recipients });
    if (!moved) throw new NotOwner(`shard ${shard} is not ours under epoch ${epoch}`);
    if (keyed.length > 0) await client.query('commit');
    return kept;
  } catch (error) {
    // Outside a transaction this is no more than a warning of the server's.
    if (arrivals.some(({ envelope }) => envelope.idempotenceKey !== ''))
      await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

/** Applies by halves until what Postgres refuses is alone. */
async function applyBisected(
  context: IngestContext,
  arrivals: readonly Arrival[],
  from: number,
  to: number,
  lastFrame: string,
): Promise<Arrival[]> {
  try {
    return await apply(context, arrivals, from, to, lastFrame);
  } catch (error) {
    if (!isDataError(error) || arrivals.length === 0) throw error;
    if (arrivals.length === 1) {
      const { sequence, entry, envelopeBytes, envelope } = arrivals[0]!;
      context.log.warning(`${envelope.queueId}: set aside as corrupt: ${String(error)}`);
      await setCorruptAside(context.pool, {
        log: context.logNumber,
        sequence,
        entry,
        reason: String(error),
        envelope: envelopeBytes,
      });
      return apply(context, [], from, to, lastFrame);
    }
    const middle = arrivals.length >> 1;
    const head = await applyBisected(context, arrivals.slice(0, middle), from, from, lastFrame);
    const tail = await applyBisected(context, arrivals.slice(middle), from, to, lastFrame);
    return [...head, ...tail];
  }
}

export interface IngestBatch {
  readonly arrivals: readonly Arrival[];
  readonly corrupt: readonly CorruptEntry[];
  /** applied_sequence before and after. */
  readonly from: number;
  readonly to: number;
  readonly lastFrame: string;
}

/** Resolves to the arrivals that have rows: repetitions of a submission that is known, and what is corrupt, have none. */
export async function applyArrivals(context: IngestContext, batch: IngestBatch): Promise<Arrival[]> {
  const { arrivals, corrupt, from, to, lastFrame } = batch;
  for (const { sequence, entry, reason, bytes } of corrupt) {
    context.log.warning(`frame ${sequence} entry ${entry}: set aside as corrupt: ${reason}`);
    await setCorruptAside(context.pool, { log: context.logNumber, sequence, entry, reason, envelope: bytes });
  }
  return applyBisected(context, arrivals, from, to, lastFrame);
}
