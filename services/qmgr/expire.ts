/**
 * Forced expiration (postsuper -e and -f): a marked message is attempted no more. Its recipients are given up with the reason of
 * their last deferral, or, where there was no attempt, with one that the retry transport states and logs, as with Postfix.
 *
 * Known limits: recipients that are read in late (qmgr_message_recipient_limit) wait for their turn at their own destinations;
 * of a message that is marked while others of its recipients wait, these are given up with the latter's reason.
 * @see postsuper(1)
 */
import type { DeliveryReply, ResolveReply, StatusNotification } from '../../lib/clients/protocols.ts';
import type { DueMessage } from '../../lib/queue/sql/due.ts';
import { deferEach, passing } from './attempt.ts';
import type { ActiveMessage, Entry } from './message.ts';

const ADMINISTRATIVELY = 'message is administratively expired';
const NEVER_ATTEMPTED = `4.7.0 ${ADMINISTRATIVELY}`;

/** By recipient, what its last attempt came to; undefined where the message is not marked. */
export function lastDeferrals({ forcedExpire, recipients, deferrals }: DueMessage): ActiveMessage['forcedExpire'] {
  if (!forcedExpire) return undefined;
  const known = new Map<number, StatusNotification>();
  recipients.forEach((offset, at) => {
    const last = deferrals[at];
    if (last) known.set(offset, { ...passing(last.reason, last.status), remoteMta: last.remoteMta });
  });
  return known;
}

/** Where a recipient of a marked message goes: to no destination that others wait for. */
export function resolvedAsExpired(resolved: ResolveReply, attempted: boolean): ResolveReply {
  return { ...resolved, transport: 'retry', nexthop: attempted ? '' : NEVER_ATTEMPTED };
}

/** The reply that stands for an attempt that is not made; undefined where it is to be made. */
export function replyOfExpired(entry: Entry): DeliveryReply | undefined {
  const { message, queue } = entry;
  const known = message.forcedExpire;
  if (known === undefined || queue.nexthop === NEVER_ATTEMPTED) return undefined;
  return deferEach(entry, (offset) => known.get(offset) ?? passing(ADMINISTRATIVELY, '4.7.0'));
}
