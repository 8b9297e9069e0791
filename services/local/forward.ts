/**
 * Forwarding: the message goes to cleanup(8) again as a new one, with a Delivered-To: header in front, so that each
 * address has a row of its own in the queue. The submission has a key made of the original's queue id, recipient
 * and sender, so a delivery that is repeated after an unknown outcome forwards once.
 */
import type { Cleanup, DeliveryRecipient, DeliveryRequest, SubmitRequest } from '../../lib/clients/protocols.ts';
import { Envelope, SubmitStatus, Unavailable } from '../../lib/clients/protocols.ts';
import type { Message } from '../../lib/delivery/message.ts';
import { deliveryHead } from '../../lib/delivery/message-copy.ts';
import { type Dsn, failure, success } from '../../lib/mail/dsn.ts';
import { createQueueIdGenerator } from '../../lib/mail/queue-id.ts';

const newQueueId = createQueueIdGenerator();

export interface Forwarding {
  readonly request: DeliveryRequest;
  readonly recipient: DeliveryRecipient;
  readonly sender: string;
  readonly addresses: ReadonlySet<string>;
  /** Undefined where prepend_delivered_header leaves it out. */
  readonly deliveredTo: string | undefined;
}

/** Resolves when the new message is on disk, with "forwarded as QUEUEID", or with a failure. */
export async function forward(
  cleanup: Cleanup,
  forwarding: Forwarding,
  message: Message,
  signal: AbortSignal,
): Promise<Dsn> {
  const { request, deliveredTo } = forwarding;
  const head = deliveryHead({ sender: '', returnPath: false, ...(deliveredTo === undefined ? {} : { deliveredTo }) });
  const submission = submitRequest(forwarding);
  try {
    const inline = request.content.length > 0 || request.contentSize === 0;
    const reply = inline
      ? await cleanup.submit({ ...submission, content: Buffer.concat([head, request.content]) }, signal)
      : await cleanup.submitLarge(submission, withHead(head, message.content()), signal);
    switch (reply.status) {
      case SubmitStatus.QUEUED:
      case SubmitStatus.DISCARDED:
        return success('relayed', `forwarded as ${reply.queueId}`);
      case SubmitStatus.TOO_MANY_HOPS:
        return failure('failed', reply.enhancedStatus || '5.4.0', reply.reason || 'too many hops');
      case SubmitStatus.TOO_LARGE:
        return failure('failed', reply.enhancedStatus || '5.3.4', reply.reason || 'message too large');
      case SubmitStatus.CONTENT_REFUSED:
        return failure('failed', reply.enhancedStatus || '5.7.1', reply.reason || 'message content rejected');
      default:
        return failure('delayed', '4.3.0', 'unable to forward message');
    }
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return failure('delayed', '4.3.0', 'unable to forward message');
  }
}

async function* withHead(head: Buffer, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* content;
}

function submitRequest({ request, recipient, sender, addresses }: Forwarding): SubmitRequest {
  // A changed sender takes responsibility: reports that the original sender asked for are not its business.
  const sameSender = sender === request.sender;
  const now = Date.now() * 1000;
  const original = recipient.originalAddress === '' ? recipient.address : recipient.originalAddress;
  return {
    envelope: Envelope.create({
      queueId: newQueueId(BigInt(now)),
      arrivalTime: now,
      sender,
      recipients: [...addresses].map((address) => ({
        address,
        originalAddress: sameSender ? original : '',
        dsnOriginalRecipient: sameSender ? recipient.dsnOriginalRecipient : '',
        dsnNotify: sameSender ? recipient.dsnNotify : 0,
      })),
      encoding: request.encoding,
      smtputf8: request.smtputf8,
      dsnEnvid: sameSender ? request.dsnEnvid : '',
      dsnRet: sameSender ? request.dsnRet : '',
      rewriteContext: request.rewriteContext,
      traceparent: request.traceparent,
      idempotenceKey: `local:${request.queueId}:${recipient.offset}:${sender}`,
    }),
    content: Buffer.alloc(0),
    options: {
      prependReceived: true,
      mapAddresses: true,
      filterContent: false,
      extractRecipients: false,
      smtpMilters: false,
    },
    activeClients: 0,
  };
}
