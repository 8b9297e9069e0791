/**
 * postsuper -e, -h, -H and -r: messages are marked as expired, put on hold, released, or handed to cleanup(8) once more.
 *
 * Logs `QUEUEID: expired`, `placed on hold`, `released from hold` and `requeued`, as postsuper does. Rejects with Unavailable where a
 * store is away.
 */
import type { Pool } from 'pg';
import { type ChangeReply, type ChangeRequest, QueueChange } from '../clients/protocols.ts';
import { isQueueId } from '../mail/queue-id.ts';
import type { ServiceContext } from '../server/context.ts';
import { requeueMessage } from './requeue.ts';
import { expireMessages } from './sql/expire.ts';
import { holdMessages, releaseMessages } from './sql/hold.ts';
import { available, notifyDue, notifyForget } from './store-calls.ts';

const BATCH = 500;

/** Deletes messages by their ids, as postsuper -d does. */
type Delete = (queueIds: readonly string[]) => Promise<unknown>;

export async function changeMessages(
  context: ServiceContext,
  pool: Pool,
  { change, queueIds }: ChangeRequest,
  remove: Delete,
): Promise<ChangeReply> {
  const ids = queueIds.filter(isQueueId);
  const changed: string[] = [];
  for (let from = 0; from < ids.length; from += BATCH) {
    const batch = ids.slice(from, from + BATCH);
    if (change === QueueChange.HOLD) changed.push(...(await hold(context, pool, batch)));
    else if (change === QueueChange.RELEASE) changed.push(...(await release(context, pool, batch)));
    else if (change === QueueChange.RELEASE_EXPIRED)
      changed.push(...(await release(context, pool, batch, { expired: true })));
    else if (change === QueueChange.EXPIRE) changed.push(...(await expire(context, pool, batch)));
    else if (change === QueueChange.REQUEUE) changed.push(...(await requeue(context, pool, batch, remove)));
  }
  return { queueIds: changed };
}

function tell(context: ServiceContext, queueIds: readonly string[], what: string): void {
  const log = context.log.child('postfix/postsuper');
  for (const queueId of queueIds) log.info(`${queueId}: ${what}`);
}

async function expire(context: ServiceContext, pool: Pool, queueIds: readonly string[]): Promise<string[]> {
  const expired = await available(() => expireMessages(pool, queueIds));
  tell(context, expired, 'expired');
  return expired;
}

async function hold(context: ServiceContext, pool: Pool, queueIds: readonly string[]): Promise<string[]> {
  const held = await available(() => holdMessages(pool, queueIds));
  await notifyForget(pool, held);
  tell(context, held, 'placed on hold');
  return held;
}

async function release(
  context: ServiceContext,
  pool: Pool,
  queueIds: readonly string[],
  which = { expired: false },
): Promise<string[]> {
  const released = await available(() => releaseMessages(pool, queueIds, which));
  if (released.length > 0) await notifyDue(pool);
  tell(context, released, 'released from hold');
  return released;
}

async function requeue(
  context: ServiceContext,
  pool: Pool,
  queueIds: readonly string[],
  remove: Delete,
): Promise<string[]> {
  const heldForThis = await available(() => holdMessages(pool, queueIds));
  await notifyForget(pool, heldForThis);
  const requeued: string[] = [];
  try {
    for (const queueId of queueIds) {
      if (!(await requeueMessage(context, pool, queueId))) continue;
      requeued.push(queueId);
      await remove([queueId]);
    }
  } finally {
    // What was not taken is as it was.
    const left = heldForThis.filter((queueId) => !requeued.includes(queueId));
    if (left.length > 0 && (await available(() => releaseMessages(pool, left))).length > 0) await notifyDue(pool);
  }
  tell(context, requeued, 'requeued');
  return requeued;
}
