/**
 * What the frames of an incoming log bring: decoded, resolved, and made ready for the active queue.
 *
 * An entry that cannot be read, or whose envelope's chunks are lost, is set apart, and does not hold up the others. Throws
 * LaterVersion for a frame that only a later version understands, and ContentMissing where chunks cannot be had at present.
 * Logs `QUEUEID: from=<…>, size=…, nrcpt=… (queue active)`.
 */
import { Envelope, type ResolveReply, type TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ContentGone, ContentMissing } from '../../lib/queue/content.ts';
import { decodeFrame } from '../../lib/queue/frame.ts';
import { type ShardRule, shardOf } from '../../lib/queue/shard-hash.ts';
import type { SetAside } from '../../lib/queue/sql/corrupt.ts';
import type { Tracing } from '../../lib/server/tracing.ts';
import type { Log } from '../../lib/util/log.ts';
import type { LogFrame } from './log-feed.ts';
import type { ActiveMessage, Admission } from './message.ts';
import type { Unwritten } from './unwritten.ts';

export interface ArrivalContext {
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

export interface Arrival {
  readonly sequence: number;
  readonly entry: number;
  readonly envelope: Envelope;
  /** Where the chunks of an envelope are that did not fit its frame. */
  readonly envelopeSubject: string | undefined;
  readonly envelopeBytes: Buffer;
  readonly content: Buffer;
  resolved: ResolveReply[];
  /** Set where it is in the active queue before it has rows. */
  unwritten: Unwritten | undefined;
}

export interface CorruptEntry extends SetAside {
  readonly sequence: number;
  readonly entry: number;
}

/** The chunks that an arrival refers to. */
export const chunkSubjects = ({ envelope, envelopeSubject }: Arrival): string[] =>
  [envelope.contentReference?.subject, envelopeSubject].filter((subject) => subject !== undefined);

/** Frames that were read together. */
export interface Arrivals {
  readonly arrivals: readonly Arrival[];
  readonly corrupt: readonly CorruptEntry[];
  /** Sequence and id of the last frame. */
  readonly to: number;
  readonly lastFrame: string;
  readonly octets: number;
}

const NOTHING = Buffer.alloc(0);

/** The frames hold what only a later version understands. */
export class LaterVersion extends Error {
  override readonly name = 'LaterVersion';
}

/** The frames up to one of a later version; throws LaterVersion where that is the first. */
function decode(frames: readonly LogFrame[]): Arrivals {
  const arrivals: Arrival[] = [];
  const corrupt: CorruptEntry[] = [];
  let to = 0;
  let lastFrame = '';
  let octets = 0;
  for (const { sequence, bytes } of frames) {
    const decoded = decodeFrame(bytes);
    if (decoded.kind === 'later-version') {
      if (to > 0) break;
      throw new LaterVersion(`frame ${sequence} has version ${decoded.version}`);
    }
    octets += bytes.length;
    to = sequence;
    if (decoded.kind === 'damaged') {
      corrupt.push({ sequence, entry: 0, reason: decoded.reason, envelope: bytes, content: NOTHING, subjects: [] });
      continue;
    }
    lastFrame = decoded.frame.id;
    decoded.frame.entries.forEach(({ envelope: envelopeBytes, content }, entry) => {
      try {
        const envelope = Envelope.decode(envelopeBytes);
        const envelopeSubject = envelope.envelopeReference?.subject;
        const place = { sequence, entry, envelope, envelopeSubject, envelopeBytes, content };
        arrivals.push({ ...place, resolved: [], unwritten: undefined });
      } catch (error) {
        const reason = `the envelope cannot be read: ${String(error)}`;
        corrupt.push({ sequence, entry, reason, envelope: envelopeBytes, content, subjects: [] });
      }
    });
  }
  return { arrivals, corrupt, to, lastFrame, octets };
}

/** Resolves every recipient of every arrival by one call. */
async function resolveAll(rewrite: TrivialRewrite, arrivals: readonly Arrival[]): Promise<void> {
  const requests = arrivals.flatMap(({ envelope }) =>
    envelope.recipients.map((recipient) => ({ kind: 'resolve', sender: envelope.sender, address: recipient.address })),
  );
  const replies = await rewrite.resolve(requests);
  let at = 0;
  for (const arrival of arrivals) {
    arrival.resolved = replies.slice(at, at + arrival.envelope.recipients.length);
    at += arrival.envelope.recipients.length;
  }
}

/** Puts whole envelopes in the place of stubs. An entry whose chunks are lost, or make no envelope, is corrupt. */
async function readStubs(context: ArrivalContext, read: Arrivals): Promise<Arrivals> {
  if (read.arrivals.every(({ envelopeSubject }) => envelopeSubject === undefined)) return read;
  const arrivals: Arrival[] = [];
  const corrupt = [...read.corrupt];
  for (const arrival of read.arrivals) {
    if (arrival.envelopeSubject === undefined) {
      arrivals.push(arrival);
      continue;
    }
    try {
      arrivals.push({ ...arrival, envelope: await context.readEnvelope(arrival.envelope) });
    } catch (error) {
      if (error instanceof ContentMissing && !(error instanceof ContentGone)) throw error;
      const { sequence, entry, envelopeBytes: envelope, content } = arrival;
      const reason = `the envelope of ${arrival.envelope.queueId}: ${String(error)}`;
      corrupt.push({ sequence, entry, reason, envelope, content, subjects: chunkSubjects(arrival) });
    }
  }
  return { ...read, arrivals, corrupt };
}

/** At least one frame. Those from one of a later version on are left, to be read again: `to` says how far it came. */
export async function readFrames(context: ArrivalContext, frames: readonly LogFrame[]): Promise<Arrivals> {
  const read = await readStubs(context, decode(frames));
  await resolveAll(context.rewrite, read.arrivals);
  return read;
}

/** Undefined where nothing of it is this shard's to deliver at present. */
export function admission(context: ArrivalContext, arrival: Arrival, activeTime: number): Admission | undefined {
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
    forcedExpire: undefined,
    pending: 0,
    untold: 0,
    deleted: false,
    unwritten: arrival.unwritten,
    span: context.tracing.start('qmgr', envelope.traceparent),
  };
  context.log.info(
    `${envelope.queueId}: from=<${envelope.sender}>, size=${envelope.contentSize}, nrcpt=${envelope.recipients.length} (queue active)`,
  );
  return { message, recipients };
}

/** Whether it may be delivered before it has rows: nothing but its one recipient's row would be lost by never writing any. */
export function mayStayUnwritten(context: ArrivalContext, { envelope, resolved }: Arrival): boolean {
  return (
    resolved.length === 1 &&
    !envelope.hold &&
    envelope.idempotenceKey === '' &&
    envelope.contentReference === undefined &&
    shardOf(context.rule, resolved[0]!) === context.shard
  );
}
