/**
 * postsuper -r: a message of the queue goes through cleanup(8) once more, with the recipients that are undone, as a message
 * that is new: its addresses are mapped again, content_filter is what it is now, and it has all its time before it.
 *
 * The original is put on hold first, and deleted only when the copy is in the log. Whatever ends in between leaves an
 * original that is on hold; asking again makes no second copy, because both carry the same key.
 */
import type { Pool } from 'pg';
import {
  type Envelope,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
  Unavailable,
} from '../clients/protocols.ts';
import { createQueueIdGenerator } from '../mail/queue-id.ts';
import type { ServiceContext } from '../server/context.ts';
import { type NoticedMessage, noticedMessages } from './sql/bounce-log.ts';
import { type ListedMessage, listByQueueId, listRecipients } from './sql/list-queue.ts';
import { available } from './store-calls.ts';
import { readStoredMessage, type StoredMessage } from './stored-message.ts';

export const REQUEUE_PARAMETERS = ['content_filter', 'postfleet_inline_limit', 'receive_override_options'] as const;

const RECIPIENTS_PER_PAGE = 1000;
const newQueueId = createQueueIdGenerator();

/** The numbers of the recipients that are undone: their places in the envelope. */
async function undoneRecipients(pool: Pool, message: ListedMessage): Promise<Set<number>> {
  const numbers = new Set<number>();
  for (let after = -1; ; ) {
    const page = await available(() => listRecipients(pool, message, after, RECIPIENTS_PER_PAGE));
    for (const { recipient } of page) numbers.add(recipient);
    if (page.length < RECIPIENTS_PER_PAGE) return numbers;
    after = page.at(-1)!.recipient;
  }
}

function requestOf(context: ServiceContext, found: NoticedMessage, envelope: Envelope): SubmitRequest {
  const { configuration } = context;
  const overrides = new Set(configuration.list('receive_override_options'));
  const now = BigInt(Date.now()) * 1000n;
  return {
    envelope: {
      ...envelope,
      queueId: newQueueId(now),
      arrivalTime: Number(now),
      contentReference: undefined,
      envelopeReference: undefined,
      filter: configuration.text('content_filter'),
      hold: false,
      idempotenceKey: `requeue:${found.queueId}:${found.log}:${found.sequence}:${found.entry}`,
    },
    content: Buffer.alloc(0),
    options: {
      prependReceived: false,
      mapAddresses: !overrides.has('no_address_mappings'),
      filterContent: !overrides.has('no_header_body_checks'),
      extractRecipients: false,
      smtpMilters: false,
    },
    // Messages are requeued one after the other: a frame that waited for more would wait in vain.
    activeClients: 1,
  };
}

async function submit(context: ServiceContext, request: SubmitRequest, stored: StoredMessage): Promise<SubmitReply> {
  const cleanup = context.clients.cleanup();
  const content = context.content.read(stored.source, context.signal);
  if (stored.source.contentSize > context.configuration.integer('postfleet_inline_limit'))
    return cleanup.submitLarge(request, content, context.signal);
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return cleanup.submit({ ...request, content: Buffer.concat(pieces) }, context.signal);
}

/** True where the copy is in the log, or a rule of today throws it away. Rejects with Unavailable where it cannot be asked. */
export async function requeueMessage(context: ServiceContext, pool: Pool, queueId: string): Promise<boolean> {
  const [message] = await available(() => listByQueueId(pool, [queueId], 0));
  const found = message && (await available(() => noticedMessages(pool, [message]))).values().next().value;
  if (message === undefined || found === undefined) return false;
  const stored = await available(() => readStoredMessage(context.entries, found.at, queueId));
  if (stored === undefined) throw new Unavailable(`${queueId}: the message is not where its row says`);
  const undone = await undoneRecipients(pool, message);
  const recipients = stored.envelope.recipients.filter((_, number) => undone.has(number));
  if (recipients.length === 0) return false;
  const reply = await submit(context, requestOf(context, found, { ...stored.envelope, recipients }), stored);
  if (reply.status === SubmitStatus.QUEUED || reply.status === SubmitStatus.DISCARDED) return true;
  context.log.warning(`${queueId}: not requeued: ${reply.reason}`);
  return false;
}
