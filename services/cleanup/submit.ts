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
import { introduction } from '../../lib/mail/first-line.ts';
import { scanHeaders } from '../../lib/mail/headers.ts';
import { ChunkRefused, ContentWriter } from '../../lib/queue/content.ts';
import { contentLength } from '../../lib/queue/frame.ts';
import type { SpaceMonitor } from '../../lib/queue/space.ts';
import type { Nats } from '../../lib/server/stores.ts';
import type { Log } from '../../lib/util/log.ts';
import { after, type MaybePromise } from '../../lib/util/maybe-promise.ts';
import { type Committer, chunkFailure, reply } from './commit.ts';
import { extractRecipients } from './extract.ts';
import type { ContentInspection, InspectionContext } from './header-body-checks.ts';
import { type HeaderRewriteOptions, rewriteHeaders, senderText } from './header-rewrite.ts';
import { lacksFrom, receivedLine, type ShapedHeaders, shapeHeaders } from './headers.ts';
import { applyVerdict, inspect, verdictReply } from './inspection.ts';
import type { AddressMapping } from './mapping.ts';
import { withoutDuplicates } from './recipients.ts';
import type { CleanupSettings } from './settings.ts';
import { replaceCarriages, replaceCarriagesIn } from './stray-carriages.ts';

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
const NO_ROOM = 'not enough free space in the mail queue';

/** An envelope on its way, or the answer that ends the submission. */
type Step<T> = { readonly refused: SubmitReply } | ({ readonly refused?: undefined } & T);

const isRefused = (step: { readonly refused?: SubmitReply | undefined }): step is { readonly refused: SubmitReply } =>
  step.refused !== undefined;

function tooLarge(size: number, settings: CleanupSettings): boolean {
  return settings.messageSizeLimit > 0 && size > settings.messageSizeLimit;
}

/** The header block in its last form, and the envelope with what was found there. `ownHeaders`: Received: lines that we put there. */
function shape(
  context: SubmitContext,
  head: Buffer,
  envelope: Envelope,
  options: SubmitOptions,
  ownHeaders: number,
): MaybePromise<Step<{ shaped: ShapedHeaders; envelope: Envelope }>> {
  const { settings, mapping, log } = context;
  const block = scanHeaders(head);
  const found = options.extractRecipients
    ? {
        ...envelope,
        recipients: [...envelope.recipients, ...extractRecipients(head, block, settings.headerAddressTokenLimit)],
      }
    : envelope;
  const rewriting: HeaderRewriteOptions = {
    mapping,
    context: envelope.rewriteContext === 'local' ? 'local' : settings.rewritesRemoteHeaders ? 'remote' : 'none',
    tokenLimit: settings.headerAddressTokenLimit,
    mapped: options.mapAddresses,
    warn: (text) => log.warning(`${envelope.queueId}: ${text}`),
  };
  // One after the other: of two that fail together, nobody would hear of the second.
  return after(rewriteHeaders(head, block, rewriting), (replaced) =>
    after(lacksFrom(block, envelope, settings) ? senderText(envelope.sender, rewriting) : '', (from) => {
      const shaped = shapeHeaders(head, block, replaced, from, found, settings);
      // The header that we put in front ourselves counts, wherever it stands.
      const ours = options.prependReceived ? 1 : 0;
      if (shaped.hops - ownHeaders + ours >= settings.hopcountLimit) {
        log.warning(`${envelope.queueId}: message rejected: hopcount exceeded`);
        return { refused: reply(SubmitStatus.TOO_MANY_HOPS, envelope.queueId, 'too many hops', '5.4.0') };
      }
      if (shaped.resentMessageId !== undefined) {
        log.info(`${envelope.queueId}: resent-message-id=${shaped.resentMessageId}`);
      }
      log.info(`${envelope.queueId}: message-id=${shaped.messageId ?? '<>'}`);
      return { shaped, envelope: found };
    }),
  );
}

/** The envelope that is kept: addresses mapped, duplicates gone. */
function settle(
  context: SubmitContext,
  envelope: Envelope,
  options: SubmitOptions,
  content: Pick<Envelope, 'messageId' | 'contentSize' | 'contentReference'>,
): MaybePromise<Step<{ envelope: Envelope }>> {
  return after(context.mapping.envelope(envelope, options.mapAddresses), (mapped) => {
    if (!mapped.ok)
      return { refused: reply(SubmitStatus.TEMPORARY_ERROR, envelope.queueId, mapped.reason, mapped.status) };
    const recipients = withoutDuplicates(mapped.envelope.recipients, context.settings.duplicateFilterLimit);
    if (recipients.length === 0)
      return { refused: reply(SubmitStatus.NO_RECIPIENTS, envelope.queueId, 'no recipients', '5.1.0') };
    return { envelope: { ...mapped.envelope, recipients, ...content } };
  });
}

/** Content that a client sent, with what keeps it apart from the header that we put in front. */
function introduced({ content, options }: SubmitRequest): Buffer {
  const front = options!.prependReceived ? introduction(content) : NOTHING;
  return front.length === 0 ? content : Buffer.concat([front, content]);
}

export function submit(context: SubmitContext, request: SubmitRequest): MaybePromise<SubmitReply> {
  return after(context.space.hasRoom(), (hasRoom) => {
    const { settings, inspection } = context;
    const sent = introduced(request);
    const content = settings.replaceStrayCarriages ? replaceCarriages(sent) : sent;
    const envelope = request.envelope!;
    const options = request.options!;
    if (!hasRoom) return reply(SubmitStatus.NO_SPACE, envelope.queueId, NO_ROOM);
    if (content.length > settings.inlineLimit) {
      return submitLarge(context, { ...request, content: NOTHING }, once(content));
    }
    if (tooLarge(content.length, settings))
      return reply(SubmitStatus.TOO_LARGE, envelope.queueId, 'message size exceeds limit', '5.3.4');
    const received = options.prependReceived ? receivedLine(envelope, settings) : NOTHING;
    if (options.filterContent && inspection.isNeeded(content)) {
      return submitInspected(context, request, Buffer.concat([received, content]));
    }
    // Our own header is a piece by itself, unless message_drop_headers takes it away again.
    return received.length === 0 || !settings.dropHeaders.has('received')
      ? keep(context, request, envelope, content, received)
      : keep(context, request, envelope, Buffer.concat([received, content]), NOTHING);
  });
}

/** Content that is to be looked at, with our own header in front. */
async function submitInspected(context: SubmitContext, request: SubmitRequest, whole: Buffer): Promise<SubmitReply> {
  const { inspection, log } = context;
  const envelope = request.envelope!;
  const inspecting = inspect(inspection, envelope, log);
  const content = Buffer.concat([await inspecting.push(whole), await inspecting.end()]);
  const ended = verdictReply(inspecting.verdict, envelope.queueId);
  return ended ?? keep(context, request, applyVerdict(envelope, inspecting.verdict), content, NOTHING);
}

/** Shapes what was judged and puts it into the log; `front` goes before it as it is. */
function keep(
  context: SubmitContext,
  request: SubmitRequest,
  judged: Envelope,
  content: Buffer,
  front: Buffer,
): MaybePromise<SubmitReply> {
  const options = request.options!;
  const ownHeaders = options.prependReceived && front.length === 0 ? 1 : 0;
  return after(shape(context, content, judged, options, ownHeaders), (step) => {
    if (isRefused(step)) return step.refused;
    const { shaped, envelope } = step;
    const pieces = [front, ...shaped.pieces, content.subarray(shaped.bodyStart)];
    const contentSize = contentLength(pieces);
    const about = { messageId: shaped.messageId ?? '', contentSize, contentReference: undefined };
    return after(settle(context, envelope, options, about), (settled) =>
      isRefused(settled) ? settled.refused : context.committer.commit(settled.envelope, pieces, request.activeClients),
    );
  });
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

/** Where a head that was cut within a header ends: before that header. */
function endOfWholeHeaders(head: Buffer): number {
  if (head.length < HEAD_LIMIT) return head.length;
  const block = scanHeaders(head);
  if (block.terminated || block.bodyStart < head.length) return head.length;
  return block.headers.at(-1)?.start ?? head.length;
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
  if (!(await space.hasRoom())) return reply(SubmitStatus.NO_SPACE, queueId, NO_ROOM);
  const received = options.prependReceived ? receivedLine(envelope, settings) : NOTHING;
  async function* whole(): AsyncGenerator<Buffer> {
    let introduce = options.prependReceived;
    if (received.length > 0) yield received;
    for await (const piece of settings.replaceStrayCarriages ? replaceCarriagesIn(content) : content) {
      if (introduce) yield introduction(piece);
      introduce = false;
      yield piece;
    }
  }
  let size = -received.length;
  const inspecting = options.filterContent && inspection.hasChecks ? inspect(inspection, envelope, log) : undefined;
  const pieces = inspected(whole(), inspecting, (octets) => {
    size += octets;
    if (tooLarge(size, settings)) throw new TooLarge();
  });
  try {
    const taken = await takeHead(pieces);
    const head = taken.subarray(0, endOfWholeHeaders(taken));
    const step = await shape(context, head, envelope, options, options.prependReceived ? 1 : 0);
    if (isRefused(step)) return step.refused;
    const writer = new ContentWriter(nats);
    for (const piece of [...step.shaped.pieces, taken.subarray(step.shaped.bodyStart)]) await writer.write(piece);
    for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) await writer.write(next.value);
    const ended = inspecting === undefined ? undefined : verdictReply(inspecting.verdict, queueId);
    if (ended !== undefined) return ended;
    const judged = inspecting === undefined ? step.envelope : applyVerdict(step.envelope, inspecting.verdict);
    const contentReference = await writer.finish();
    const about = { messageId: step.shaped.messageId ?? '', contentSize: contentReference.size, contentReference };
    const settled = await settle(context, judged, options, about);
    if (isRefused(settled)) return settled.refused;
    return await committer.commit(settled.envelope, [], request.activeClients);
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
