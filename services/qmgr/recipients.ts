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
    const transport = transportNamed(resolved.transport);
    const limit = transport.settings.destinationRecipientLimit;
    // With one recipient a delivery, limits are meant for each recipient (postconf(5)).
    const name = limit === 1 ? `${resolved.nexthop}\n${resolved.recipient}` : resolved.nexthop;
    const queue = transport.queue(name, resolved.nexthop);
    let group = groups.get(queue);
    if (group === undefined) {
      group = { transport, queue, recipients: [], attempts };
      groups.set(queue, group);
    }
    group.recipients.push({ ...recipient, address: resolved.recipient, offset });
    group.attempts = Math.max(group.attempts, attempts);
    if (limit > 0 && group.recipients.length >= limit) addEntry(admitted, group, now);
  }
  for (const group of groups.values()) if (group.recipients.length > 0) addEntry(admitted, group, now);
  return [...groups.values()];
}

function addEntry(admitted: Admitted, group: Group, now: number): void {
  const { transport, queue, recipients, attempts } = group;
  const peer = transport.job(admitted, now).peer(queue);
  admitted.message.pending++;
  admitted.inMemory += recipients.length;
  transport.add({ message: admitted.message, queue, peer, recipients, attempts });
  group.recipients = [];
  group.attempts = 0;
}
