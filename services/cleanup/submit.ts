/**
 * One submission: the message is inspected and shaped, its recipients are settled, and it goes to the log. Small messages
 * are one buffer; of a large one only the head is held, the rest is written to the CONTENT stream as it comes.
 */
import {
  type Envelope,
  type SubmitOptions,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
} from '../../lib/clients/protocols.ts';
import { scanHeaders } from '../../lib/mail/headers.ts';
import { ChunkRefused, ContentWriter } from '../../lib/queue/content.ts';
import type { SpaceMonitor } from '../../lib/queue/space.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';
import { type Committer, chunkFailure, reply } from './commit.ts';
import { extractRecipients } from './extract.ts';
import type { ContentInspection, InspectionContext } from './header-body-checks.ts';
import { rewriteHeaders } from './header-rewrite.ts';
import { receivedLine, type ShapedHeaders, shapeHeaders } from './headers.ts';
import { applyVerdict, inspect, verdictReply } from './inspection.ts';
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
  readonly inspection: InspectionContext;
}

/** Octets at the head of a message within which its header block must end to be shaped as a whole. */
const HEAD_LIMIT = 256 * 1024;
const NOTHING = Buffer.alloc(0);

/** An envelope on its way, or the answer that ends the submission. */
type Step<T> = { readonly refused: SubmitReply } | ({ readonly refused?: undefined } & T);

const isRefused = (step: { readonly refused?: SubmitReply | undefined }): step is { readonly refused: SubmitReply } =>
  step.refused !== undefined;

function tooLarge(size: number, settings: CleanupSettings): boolean {
  return settings.messageSizeLimit > 0 && size > settings.messageSizeLimit;
}

/** The header block in its last form, and the envelope with what was found there. */
async function shape(
  context: SubmitContext,
  head: Buffer,
  envelope: Envelope,
  options: SubmitOptions,
): Promise<Step<{ shaped: ShapedHeaders; envelope: Envelope }>> {
  const { settings, mapping, log } = context;
  const block = scanHeaders(head);
  const found = options.extractRecipients
    ? {
        ...envelope,
        recipients: [...envelope.recipients, ...extractRecipients(head, block, settings.headerAddressTokenLimit)],
      }
    : envelope;
  const replaced = await rewriteHeaders(head, block, {
    mapping,
    context: envelope.rewriteContext === 'local' ? 'local' : settings.rewritesRemoteHeaders ? 'remote' : 'none',
    tokenLimit: settings.headerAddressTokenLimit,
    mapped: options.mapAddresses,
    warn: (text) => log.warning(`${envelope.queueId}: ${text}`),
  });
  const shaped = shapeHeaders(head, block, replaced, found, settings);
  // The header that we put in front ourselves is no hop yet.
  if (shaped.hops - (options.prependReceived ? 1 : 0) > settings.hopcountLimit) {
    return { refused: reply(SubmitStatus.TOO_MANY_HOPS, envelope.queueId, 'too many hops', '5.4.0') };
  }
  log.info(`${envelope.queueId}: message-id=${shaped.messageId}`);
  return { shaped, envelope: { ...found, messageId: shaped.messageId } };
}

/** The envelope that is kept: addresses mapped, duplicates gone. */
async function settle(
  context: SubmitContext,
  envelope: Envelope,
  options: SubmitOptions,
): Promise<Step<{ envelope: Envelope }>> {
  const mapped = await context.mapping.envelope(envelope, options.mapAddresses);
  if (!mapped.ok)
    return { refused: reply(SubmitStatus.TEMPORARY_ERROR, envelope.queueId, mapped.reason, mapped.status) };
  const recipients = withoutDuplicates(mapped.envelope.recipients, context.settings.duplicateFilterLimit);
  if (recipients.length === 0)
    return { refused: reply(SubmitStatus.NO_RECIPIENTS, envelope.queueId, 'no recipients', '5.1.0') };
  return { envelope: { ...mapped.envelope, recipients } };
}

function withReceived(context: SubmitContext, envelope: Envelope, options: SubmitOptions, content: Buffer): Buffer {
  return options.prependReceived ? Buffer.concat([receivedLine(envelope, context.settings), content]) : content;
}

export async function submit(context: SubmitContext, request: SubmitRequest): Promise<SubmitReply> {
  const { settings, log, committer, space, inspection } = context;
  const envelope = request.envelope!;
  const options = request.options!;
  const { queueId } = envelope;
  const room = space.hasRoom();
  if (!(room === true || (await room)))
    return reply(SubmitStatus.NO_SPACE, queueId, 'not enough free space in the mail queue');
  if (request.content.length > settings.inlineLimit) {
    return submitLarge(context, { ...request, content: NOTHING }, once(request.content));
  }
  if (tooLarge(request.content.length, settings))
    return reply(SubmitStatus.TOO_LARGE, queueId, 'message size exceeds limit', '5.3.4');
  let content = withReceived(context, envelope, options, request.content);
  let judged = envelope;
  if (options.filterContent && inspection.isNeeded(content)) {
    const inspecting = inspect(inspection, envelope, log);
    content = Buffer.concat([await inspecting.push(content), await inspecting.end()]);
    const ended = verdictReply(inspecting.verdict, queueId);
    if (ended !== undefined) return ended;
    judged = applyVerdict(envelope, inspecting.verdict);
  }
  const step = await shape(context, content, judged, options);
  if (isRefused(step)) return step.refused;
  const settled = await settle(context, step.envelope, options);
  if (isRefused(settled)) return settled.refused;
  const whole = Buffer.concat([...step.shaped.pieces, content.subarray(step.shaped.bodyStart)]);
  return committer.commit({ ...settled.envelope, contentSize: whole.length }, whole, request.activeClients);
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}

/** The pieces as they come, each seen by the inspection where there is one, and counted. */
async function* inspected(
  content: AsyncIterable<Buffer>,
  inspecting: ContentInspection | undefined,
  count: (octets: number) => void,
): AsyncGenerator<Buffer> {
  for await (const piece of content) {
    count(piece.length);
    yield inspecting === undefined ? piece : await inspecting.push(piece);
  }
  if (inspecting !== undefined) yield await inspecting.end();
}

/** The head of a message: enough of it to hold the header block. */
async function takeHead(content: AsyncIterator<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let length = 0; length < HEAD_LIMIT; ) {
    const { value, done } = await content.next();
    if (done === true) break;
    pieces.push(value);
    length += value.length;
  }
  return Buffer.concat(pieces);
}

class TooLarge extends Error {}

export async function submitLarge(
  context: SubmitContext,
  request: SubmitRequest,
  content: AsyncIterable<Buffer>,
): Promise<SubmitReply> {
  const { settings, log, committer, nats, space, inspection } = context;
  const envelope = request.envelope!;
  const options = request.options!;
  const { queueId } = envelope;
  if (!(await space.hasRoom())) return reply(SubmitStatus.NO_SPACE, queueId, 'not enough free space in the mail queue');
  const received = options.prependReceived ? receivedLine(envelope, settings) : NOTHING;
  async function* whole(): AsyncGenerator<Buffer> {
    if (received.length > 0) yield received;
    yield* content;
  }
  let size = -received.length;
  const inspecting = options.filterContent && inspection.hasChecks ? inspect(inspection, envelope, log) : undefined;
  const pieces = inspected(whole(), inspecting, (octets) => {
    size += octets;
    if (tooLarge(size, settings)) throw new TooLarge();
  });
  try {
    const head = await takeHead(pieces);
    const step = await shape(context, head, envelope, options);
    if (isRefused(step)) return step.refused;
    const writer = new ContentWriter(nats);
    for (const piece of [...step.shaped.pieces, head.subarray(step.shaped.bodyStart)]) await writer.write(piece);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) await writer.write(next.value);
    const ended = inspecting === undefined ? undefined : verdictReply(inspecting.verdict, queueId);
    if (ended !== undefined) return ended;
    const judged = inspecting === undefined ? step.envelope : applyVerdict(step.envelope, inspecting.verdict);
    const contentReference = await writer.finish();
    const settled = await settle(context, judged, options);
    if (isRefused(settled)) return settled.refused;
    return await committer.commit(
      { ...settled.envelope, contentSize: contentReference.size, contentReference },
      NOTHING,
      request.activeClients,
    );
  } catch (error) {
    if (error instanceof TooLarge) return reply(SubmitStatus.TOO_LARGE, queueId, 'message size exceeds limit', '5.3.4');
    if (!(error instanceof ChunkRefused)) throw error;
    log.warning(`${queueId}: queue file write error: ${error.message}`);
    return chunkFailure(queueId, error);
  } finally {
    // Whoever sends the content learns that nobody takes it any more.
    await pieces.return(undefined);
  }
}
