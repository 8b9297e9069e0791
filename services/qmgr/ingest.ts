/**
 * From the incoming log to rows and to the active queue, exactly once: each batch is one statement that moves
 * applied_sequence and inserts the rows, or does neither.
 *
 * A batch that Postgres refuses because of its data is halved until the bad entry is alone; that one is set aside as
 * corrupt and the rest goes on. A frame of a later version stops the shard: a newer qmgr will read it.
 *
 * Logs `QUEUEID: from=<…>, size=…, nrcpt=… (queue active)`, a warning for what is set aside, an error for a later version.
 */
import type { Pool } from 'pg';
import { Envelope, type ResolveReply, type TrivialRewrite } from '../../lib/clients/protocols.ts';
import { decodeFrame } from '../../lib/queue/frame.ts';
import { type ShardRule, shardOf } from '../../lib/queue/shard-hash.ts';
import { setCorruptAside } from '../../lib/queue/sql/corrupt.ts';
import { claimSubmissionKeys, type IngestMessage, type IngestRecipient, ingest } from '../../lib/queue/sql/ingest.ts';
import type { Tracing } from '../../lib/server/tracing.ts';
import type { Log } from '../../lib/util/log.ts';
import type { LogFrame } from './log-feed.ts';
import type { ActiveMessage, Admission } from './message.ts';

export interface IngestContext {
  readonly pool: Pool;
  readonly log: Log;
  readonly rewrite: TrivialRewrite;
  readonly tracing: Tracing;
  readonly shard: number;
  readonly epoch: number;
  readonly logNumber: number;
  readonly rule: ShardRule;
  /** Reads an envelope that was too large for its frame. */
  readonly readEnvelope: (stub: Envelope) => Promise<Envelope>;
}

interface Arrival {
  readonly sequence: number;
  readonly entry: number;
  readonly envelope: Envelope;
  readonly envelopeBytes: Buffer;
  readonly content: Buffer;
  resolved: ResolveReply[];
}

/** The frames hold what only a later version understands. */
export class LaterVersion extends Error {
  override readonly name = 'LaterVersion';
}

/** Somebody else owns the shard, or has applied what we meant to apply. */
export class NotOwner extends Error {
  override readonly name = 'NotOwner';
}

interface Corrupt {
  readonly sequence: number;
  readonly entry: number;
  readonly reason: string;
  readonly bytes: Buffer;
}

export interface Ingested {
  readonly applied: number;
  readonly lastFrame: string;
  readonly admissions: Admission[];
  /** Recipients that another shard's qmgr has to pick up. */
  readonly handedOver: boolean;
}

function decode(frames: readonly LogFrame[]): { arrivals: Arrival[]; corrupt: Corrupt[]; lastFrame: string } {
  const arrivals: Arrival[] = [];
  const corrupt: Corrupt[] = [];
  let lastFrame = '';
  for (const { sequence, bytes } of frames) {
    const decoded = decodeFrame(bytes);
    if (decoded.kind === 'later-version') throw new LaterVersion(`frame ${sequence} has version ${decoded.version}`);
    if (decoded.kind === 'damaged') {
      corrupt.push({ sequence, entry: 0, reason: decoded.reason, bytes });
      continue;
    }
    lastFrame = decoded.frame.id;
    decoded.frame.entries.forEach(({ envelope: envelopeBytes, content }, entry) => {
      try {
        arrivals.push({
          sequence,
          entry,
          envelope: Envelope.decode(envelopeBytes),
          envelopeBytes,
          content,
          resolved: [],
        });
      } catch (error) {
        corrupt.push({
          sequence,
          entry,
          reason: `the envelope cannot be read: ${String(error)}`,
          bytes: envelopeBytes,
        });
      }
    });
  }
  return { arrivals, corrupt, lastFrame };
}

/** Resolves every recipient of every arrival by one call. */
async function resolveAll(context: IngestContext, arrivals: readonly Arrival[]): Promise<void> {
  const requests = arrivals.flatMap(({ envelope }) =>
    envelope.recipients.map((recipient) => ({ kind: 'resolve', sender: envelope.sender, address: recipient.address })),
  );
  const replies = await context.rewrite.resolve(requests);
  let at = 0;
  for (const arrival of arrivals) {
    arrival.resolved = replies.slice(at, at + arrival.envelope.recipients.length);
    at += arrival.envelope.recipients.length;
  }
}

function rows(
  context: IngestContext,
  arrivals: readonly Arrival[],
): { messages: IngestMessage[]; recipients: IngestRecipient[] } {
  const recipients: IngestRecipient[] = [];
  const messages = arrivals.map(({ sequence, entry, envelope, resolved }, message) => {
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
    };
  });
  return { messages, recipients };
}

function admission(context: IngestContext, arrival: Arrival, activeTime: number): Admission | undefined {
  const { envelope, content, sequence, entry, resolved } = arrival;
  if (envelope.hold) return undefined;
  const recipients = resolved.flatMap((reply, offset) =>
    shardOf(context.rule, reply) === context.shard ? [{ offset, attempts: 0, resolved: reply }] : [],
  );
  if (recipients.length === 0) return undefined;
  const key = { log: context.logNumber, sequence, entry };
  const message: ActiveMessage = {
    key,
    shard: context.shard,
    epoch: context.epoch,
    envelope,
    content: envelope.contentReference === undefined ? content : undefined,
    at: key,
    activeTime,
    single: envelope.recipients.length === 1,
    delayNotified: false,
    pending: 0,
    untold: 0,
    deleted: false,
    span: context.tracing.start('qmgr', envelope.traceparent),
  };
  context.log.info(
    `${envelope.queueId}: from=<${envelope.sender}>, size=${envelope.contentSize}, nrcpt=${envelope.recipients.length} (queue active)`,
  );
  return { message, recipients };
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

/** Applies the frames; `from` is the sequence up to which the shard's row says that all is applied. */
export async function ingestFrames(
  context: IngestContext,
  frames: readonly LogFrame[],
  from: number,
): Promise<Ingested> {
  const { arrivals, corrupt, lastFrame } = decode(frames);
  for (const arrival of arrivals) {
    if (arrival.envelope.envelopeReference === undefined) continue;
    Object.assign(arrival, { envelope: await context.readEnvelope(arrival.envelope) });
  }
  await resolveAll(context, arrivals);
  for (const { sequence, entry, reason, bytes } of corrupt) {
    context.log.warning(`frame ${sequence} entry ${entry}: set aside as corrupt: ${reason}`);
    await setCorruptAside(context.pool, { log: context.logNumber, sequence, entry, reason, envelope: bytes });
  }
  const applied = frames.at(-1)!.sequence;
  const kept = await applyBisected(context, arrivals, from, applied, lastFrame);
  const activeTime = Date.now() * 1000;
  const admissions = kept.flatMap((arrival) => admission(context, arrival, activeTime) ?? []);
  const handedOver = kept.some(({ resolved }) =>
    resolved.some((reply) => shardOf(context.rule, reply) !== context.shard),
  );
  return { applied, lastFrame, admissions, handedOver };
}
