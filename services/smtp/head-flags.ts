/**
 * `flags=DORX` of a master.cf entry for smtp or lmtp (smtp(8), COMMAND ATTRIBUTE SYNTAX): headers to put in front of the
 * message, and whether the delivery is the last one.
 *
 * Throws FatalError for a flag that does not exist. The headers name a recipient, so they are left out of a delivery with
 * several: transport_destination_recipient_limit = 1 avoids that.
 */
import type { DeliveryRequest } from '../../lib/clients/protocols.ts';
import { Message } from '../../lib/delivery/message.ts';
import { deliveryHead } from '../../lib/delivery/message-copy.ts';
import type { ContentReader } from '../../lib/queue/content.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { messageTrouble, type Trouble } from './trouble.ts';

export interface HeadFlags {
  /** D: Delivered-To:, and a message that has it already for this recipient goes round in circles. */
  readonly deliveredTo: boolean;
  /** O: X-Original-To: */
  readonly originalTo: boolean;
  /** R: Return-Path: */
  readonly returnPath: boolean;
  /** X: the delivery is final. */
  readonly isFinal: boolean;
}

export function parseHeadFlags(argv: readonly string[], service: string): HeadFlags {
  const letters = argv.filter((word) => word.startsWith('flags=')).map((word) => word.slice('flags='.length));
  const text = letters.join('');
  const unknown = [...text].find((letter) => !'DORX'.includes(letter));
  if (unknown !== undefined) {
    throw new FatalError(`master.cf: ${service}: flags=${text}: unknown flag ${unknown}; choose of D, O, R, X`);
  }
  return {
    deliveredTo: text.includes('D'),
    originalTo: text.includes('O'),
    returnPath: text.includes('R'),
    isFinal: text.includes('X'),
  };
}

/** The headers to send in front of the content; empty for none. */
export function headOf(request: DeliveryRequest, flags: HeadFlags): Buffer {
  const [recipient] = request.recipients.length === 1 ? request.recipients : [];
  const original = recipient === undefined ? '' : recipient.originalAddress || recipient.address;
  return deliveryHead({
    sender: request.sender,
    returnPath: flags.returnPath,
    ...(flags.originalTo && recipient !== undefined ? { originalRecipient: original } : {}),
    ...(flags.deliveredTo && recipient !== undefined ? { deliveredTo: recipient.address } : {}),
  });
}

/** Why the message is not to be delivered again; undefined where it is. */
export async function forwardingLoop(
  request: DeliveryRequest,
  reader: ContentReader,
  signal: AbortSignal,
): Promise<Trouble | undefined> {
  const [recipient] = request.recipients;
  if (recipient === undefined || request.recipients.length > 1) return undefined;
  const looped = await new Message(request, reader, signal).wasDeliveredTo(recipient.address);
  return looped ? messageTrouble('5.4.6', `mail forwarding loop for ${recipient.address}`) : undefined;
}
