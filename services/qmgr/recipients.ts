/**
 * Sorts recipients of an active message into entries: by transport and destination, at most destination_recipient_limit
 * in each (SCHEDULER_README, "What happens when nqmgr picks up the message").
 */
import type { DeliveryRecipient, Recipient, ResolveReply } from '../../lib/clients/protocols.ts';
import type { Admitted } from './admitted.ts';
import type { DestinationQueue } from './queue.ts';
import type { Transport } from './transport.ts';

export interface SortedRecipient {
  readonly offset: number;
  /** Attempts that it has behind it. */
  readonly attempts: number;
  readonly recipient: Recipient;
  readonly resolved: ResolveReply;
}

export interface Destination {
  readonly transport: Transport;
  readonly queue: DestinationQueue;
}

interface Group extends Destination {
  recipients: DeliveryRecipient[];
  attempts: number;
}

/** Lets the recipients wait for their turns; resolves to the destinations that they wait for. */
export function sortRecipients(
  admitted: Admitted,
  recipients: readonly SortedRecipient[],
  transportNamed: (name: string) => Transport,
  now: number,
): Destination[] {
  const groups = new Map<DestinationQueue, Group>();
  for (const { offset, attempts, recipient, resolved } of recipients) {
    const destination = destinationOf(resolved, transportNamed);
    const { transport, queue } = destination;
    let group = groups.get(queue);
    if (group === undefined) {
      group = { transport, queue, recipients: [], attempts };
      groups.set(queue, group);
    }
    group.recipients.push(deliveryRecipient(recipient, resolved, offset));
    group.attempts = Math.max(group.attempts, attempts);
    const limit = transport.settings.destinationRecipientLimit;
    if (limit > 0 && group.recipients.length >= limit) {
      addEntry(admitted, group, group.recipients, group.attempts, now);
      group.recipients = [];
      group.attempts = 0;
    }
  }
  for (const group of groups.values())
    if (group.recipients.length > 0) addEntry(admitted, group, group.recipients, group.attempts, now);
  return [...groups.values()];
}

/** The same for one recipient, which is what most messages have. */
export function sortRecipient(
  admitted: Admitted,
  { offset, attempts, resolved }: Omit<SortedRecipient, 'recipient'>,
  recipient: Recipient,
  transportNamed: (name: string) => Transport,
  now: number,
): Destination {
  const destination = destinationOf(resolved, transportNamed);
  addEntry(admitted, destination, [deliveryRecipient(recipient, resolved, offset)], attempts, now);
  return destination;
}

function destinationOf(resolved: ResolveReply, transportNamed: (name: string) => Transport): Destination {
  const transport = transportNamed(resolved.transport);
  // With one recipient a delivery, limits are meant for each recipient (postconf(5)).
  const name =
    transport.settings.destinationRecipientLimit === 1
      ? `${resolved.nexthop}\n${resolved.recipient}`
      : resolved.nexthop;
  return { transport, queue: transport.queue(name, resolved.nexthop) };
}

const deliveryRecipient = (recipient: Recipient, resolved: ResolveReply, offset: number): DeliveryRecipient => ({
  offset,
  address: resolved.recipient,
  originalAddress: recipient.originalAddress,
  dsnOriginalRecipient: recipient.dsnOriginalRecipient,
  dsnNotify: recipient.dsnNotify,
});

function addEntry(
  admitted: Admitted,
  { transport, queue }: Destination,
  recipients: readonly DeliveryRecipient[],
  attempts: number,
  now: number,
): void {
  const peer = transport.job(admitted, now).peer(queue);
  admitted.message.pending++;
  admitted.inMemory += recipients.length;
  transport.add({ message: admitted.message, queue, peer, recipients, attempts });
}
