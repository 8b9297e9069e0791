/** Carries an order for a mailbox out, in whatever format it asks for, in this process and with its rights. */
import type { MailboxOrder, MailboxOutcome } from './mailbox-order.ts';
import { deliverToMaildir } from './maildir.ts';
import { deliverToMbox } from './mbox.ts';
import { copyContent } from './message-copy.ts';

/** `content` is the message as it is in the log. Rejects only with an error of `content` or of the code. */
export function writeMailbox(order: MailboxOrder, content: AsyncIterable<Buffer>): Promise<MailboxOutcome> {
  if (order.format === 'maildir') return deliverToMaildir(order, copyContent(content, {}));
  return deliverToMbox(order, copyContent(content, { quoteFrom: true, blankLine: true }));
}
