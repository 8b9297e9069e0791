/**
 * One submission: the message is shaped, its recipients are settled, and it goes to the log. Small messages are one
 * buffer; of a large one only the head is held, the rest is written to the CONTENT stream as it comes.
 */
import { type Envelope, type SubmitReply, type SubmitRequest, SubmitStatus } from '../../lib/clients/protocols.ts';
import { ChunkRefused, ContentWriter } from '../../lib/queue/content.ts';
import type { SpaceMonitor } from '../../lib/queue/space.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';
import { type Committer, chunkFailure, reply } from './commit.ts';
import { type ShapedHeaders, shapeHeaders } from './headers.ts';
import type { AddressMapping } from './mapping.ts';
import { withoutDuplicates } from './recipients.ts';
import type { CleanupSettings } from './settings.ts';

export interface SubmitContext {
  readonly settings: CleanupSettings;
  readonly nats: Nats;
  readonly log: Log;
  readonly committer: Committer;
  readonly space: SpaceMonitor;
  readonly mapping: AddressMapping;
}

/** Octets at the head of a message within which its header block must end to be shaped as a whole. */
const HEAD_LIMIT = 256 * 1024;

/** A reply that refuses the message, or undefined where its header block is in order. */
function refusal(shaped: ShapedHeaders, envelope: Envelope, settings: CleanupSettings): SubmitReply | undefined {
  return shaped.hops > settings.hopcountLimit
    ? reply(SubmitStatus.TOO_MANY_HOPS, envelope.queueId, 'too many hops', '5.4.0')
    : undefined;
}

function tooLarge(size: number, settings: CleanupSettings): boolean {
  return settings.messageSizeLimit > 0 && size > settings.messageSizeLimit;
}

/** The envelope that is kept: addresses mapped, duplicates gone. */
async function settle(context: SubmitContext, request: SubmitRequest, messageId: string): Promise<Envelope> {
  const envelope = request.envelope!;
  const mapped = request.options?.mapAddresses === true ? await context.mapping.map(envelope) : envelope;
  return {
    ...mapped,
    messageId,
    recipients: withoutDuplicates(mapped.recipients, context.settings.duplicateFilterLimit),
  };
}

export async function submit(context: SubmitContext, request: SubmitRequest): Promise<SubmitReply> {
  const { settings, log, committer, space } = context;
  const envelope = request.envelope!;
  const { queueId } = envelope;
  const room = space.hasRoom();
  if (!(room === true || (await room)))
    return reply(SubmitStatus.NO_SPACE, queueId, 'not enough free space in the mail queue');
  if (request.content.length > settings.inlineLimit)
    return submitLarge(context, { ...request, content: Buffer.alloc(0) }, once(request.content));
  const shaped = shapeHeaders(request.content, envelope, request.options!, settings);
  if (tooLarge(request.content.length, settings))
    return reply(SubmitStatus.TOO_LARGE, queueId, 'message size exceeds limit', '5.3.4');
  const refused = refusal(shaped, envelope, settings);
  if (refused !== undefined) return refused;
  log.info(`${queueId}: message-id=${shaped.messageId}`);
  const content = Buffer.concat([...shaped.pieces, request.content.subarray(shaped.bodyStart)]);
  const kept = await settle(context, request, shaped.messageId);
  if (kept.recipients.length === 0) return reply(SubmitStatus.NO_RECIPIENTS, queueId, 'no recipients', '5.1.0');
  return committer.commit({ ...kept, contentSize: content.length }, content);
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

/** The head of a message, and what comes after it. */
async function takeHead(content: AsyncIterator<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let length = 0; length < HEAD_LIMIT; ) {
    const { value, done } = await content.next();
    if (done === true) break;
    pieces.push(value);
    length += value.length;
  }
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
}

export async function submitLarge(
  context: SubmitContext,
  request: SubmitRequest,
  content: AsyncIterable<Buffer>,
): Promise<SubmitReply> {
  const { settings, log, committer, nats, space } = context;
  const envelope = request.envelope!;
  const { queueId } = envelope;
  if (!(await space.hasRoom())) return reply(SubmitStatus.NO_SPACE, queueId, 'not enough free space in the mail queue');
  const pieces = content[Symbol.asyncIterator]();
  const head = await takeHead(pieces);
  const shaped = shapeHeaders(head, envelope, request.options!, settings);
  const refused = refusal(shaped, envelope, settings);
  if (refused !== undefined) return refused;
  log.info(`${queueId}: message-id=${shaped.messageId}`);
  const writer = new ContentWriter(nats);
  try {
    for (const piece of [...shaped.pieces, head.subarray(shaped.bodyStart)]) await writer.write(piece);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
      if (tooLarge(writer.size + next.value.length, settings)) {
        await pieces.return?.();
        return reply(SubmitStatus.TOO_LARGE, queueId, 'message size exceeds limit', '5.3.4');
      }
      await writer.write(next.value);
    }
    const contentReference = await writer.finish();
    const kept = await settle(context, request, shaped.messageId);
    if (kept.recipients.length === 0) return reply(SubmitStatus.NO_RECIPIENTS, queueId, 'no recipients', '5.1.0');
    return await committer.commit({ ...kept, contentSize: contentReference.size, contentReference }, Buffer.alloc(0));
  } catch (error) {
    if (!(error instanceof ChunkRefused)) throw error;
    log.warning(`${queueId}: queue file write error: ${error.message}`);
    await pieces.return?.();
    return chunkFailure(queueId, error);
  }
}
