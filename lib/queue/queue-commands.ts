/**
 * The requests of postqueue(1), postsuper(1) and postcat(1), answered from Postgres and the logs: list, flush,
 * delete, change, read.
 * Behind showq(8) and flush(8).
 *
 * Side effects: flush and delete change rows, and tell qmgr(8) by NOTIFY, which only brings forward what its poll finds.
 * Rejects with Unavailable where a store is away. Memory is bounded by a page of messages.
 */
import type { Pool } from 'pg';
import {
  Envelope,
  type FlushRequest,
  type ListRequest,
  type Queue,
  type QueueItem,
  type ReadPart,
} from '../clients/protocols.ts';
import { isQueueId } from '../mail/queue-id.ts';
import { quote822Local } from '../mail/quote822.ts';
import type { ServiceContext } from '../server/context.ts';
import { changeMessages } from './change-messages.ts';
import { purgeContent } from './content.ts';
import { REQUEUE_PARAMETERS } from './requeue.ts';
import { noticedMessages } from './sql/bounce-log.ts';
import { type DeletedMessage, deleteArrivedBefore, deleteByQueueId, deletionMoment } from './sql/delete-messages.ts';
import { flushBatch, flushMessage, flushPlan, flushSite } from './sql/flush.ts';
import { type ListedMessage, listByQueueId, listPage, listRecipients } from './sql/list-queue.ts';
import { available, database, notifyDue, notifyForget } from './store-calls.ts';
import { readStoredMessage } from './stored-message.ts';

/** main.cf parameters that these requests read. */
export const QUEUE_COMMAND_PARAMETERS = ['empty_address_recipient', ...REQUEUE_PARAMETERS] as const;

const MESSAGES_PER_PAGE = 500;
/** More recipients of a message follow in items of the same queue id. */
const RECIPIENTS_PER_ITEM = 100;
const FLUSH_BATCH = 5000;
const DELETE_BATCH = 1000;

export function createQueueCommands(context: ServiceContext): Queue {
  const mailerDaemon = context.configuration.text('empty_address_recipient');
  return {
    async *list(request, signal) {
      yield* list(await database(context), request, mailerDaemon, signal);
    },
    async flush(request, signal) {
      const pool = await database(context);
      const count = await available(() => flush(pool, request, signal));
      if (count > 0) await notifyDue(pool);
      return { count };
    },
    async delete(request, signal) {
      const pool = await database(context);
      const gone = (messages: readonly DeletedMessage[]): Promise<void> => afterDeletion(context, pool, messages);
      if (request.all) return { count: await available(() => deleteAll(pool, gone, signal)) };
      return { count: await deleteMessages(pool, request.queueIds.filter(isQueueId), gone) };
    },
    async change(request) {
      const pool = await database(context);
      // The copy says that it was requeued; the original is not "removed" for its readers.
      const remove = (ids: readonly string[]): Promise<number> =>
        deleteMessages(pool, ids, (messages) => forget(context, pool, messages));
      return changeMessages(context, pool, request, remove);
    },
    async *read(request, signal) {
      yield* read(context, await database(context), request.queueId, signal);
    },
  };
}

async function* list(
  pool: Pool,
  { queueId }: ListRequest,
  mailerDaemon: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<QueueItem[]> {
  if (queueId !== '') {
    const messages = await available(() => listByQueueId(pool, [queueId], RECIPIENTS_PER_ITEM));
    yield* items(pool, messages, mailerDaemon);
    return;
  }
  let last: ListedMessage | undefined;
  do {
    signal?.throwIfAborted();
    const after = last;
    const page = await available(() => listPage(pool, after, MESSAGES_PER_PAGE, RECIPIENTS_PER_ITEM));
    yield* items(pool, page, mailerDaemon);
    last = page.length < MESSAGES_PER_PAGE ? undefined : page.at(-1);
  } while (last !== undefined);
}

/** The page, broken where a message has more recipients than one item holds. */
async function* items(
  pool: Pool,
  messages: readonly ListedMessage[],
  mailerDaemon: string,
): AsyncGenerator<QueueItem[]> {
  let page: QueueItem[] = [];
  for (const message of messages) {
    let { recipients } = message;
    page.push(item(message, recipients, mailerDaemon));
    while (recipients.length === RECIPIENTS_PER_ITEM) {
      const after = recipients.at(-1)!.recipient;
      recipients = await available(() => listRecipients(pool, message, after, RECIPIENTS_PER_ITEM));
      if (recipients.length === 0) break;
      yield page;
      page = [item(message, recipients, mailerDaemon)];
    }
  }
  if (page.length > 0) yield page;
}

function item(message: ListedMessage, recipients: ListedMessage['recipients'], mailerDaemon: string): QueueItem {
  const sender = message.sender.toString('utf8');
  return {
    queueName: message.queueName,
    queueId: message.queueId,
    arrivalTime: Math.floor(message.arrivalTime),
    messageSize: message.size,
    forcedExpire: message.forcedExpire,
    sender: sender === '' ? mailerDaemon : quote822Local(sender),
    recipients: recipients.map(({ address, reason }) => ({
      address: quote822Local(address.toString('utf8')),
      delayReason: reason?.toString('utf8') ?? '',
    })),
  };
}

async function flush(pool: Pool, { queueId, site }: FlushRequest, signal: AbortSignal | undefined): Promise<number> {
  const { moment, shards } = await flushPlan(pool);
  if (queueId !== '') return flushMessage(pool, queueId, moment);
  if (site !== '') return flushSite(pool, site, moment);
  let count = 0;
  for (const shard of shards) {
    for (let flushed = FLUSH_BATCH; flushed === FLUSH_BATCH; count += flushed) {
      signal?.throwIfAborted();
      flushed = await flushBatch(pool, shard, moment, FLUSH_BATCH);
    }
  }
  return count;
}

async function deleteMessages(
  pool: Pool,
  ids: readonly string[],
  gone: (messages: readonly DeletedMessage[]) => Promise<void>,
): Promise<number> {
  let count = 0;
  for (let from = 0; from < ids.length; from += DELETE_BATCH) {
    const deleted = await available(() => deleteByQueueId(pool, ids.slice(from, from + DELETE_BATCH)));
    await gone(deleted);
    count += deleted.length;
  }
  return count;
}

/** Everything that is in the queue when this begins; what arrives meanwhile stays. */
async function deleteAll(
  pool: Pool,
  gone: (messages: readonly DeletedMessage[]) => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<number> {
  const moment = await deletionMoment(pool);
  let count = 0;
  for (;;) {
    signal?.throwIfAborted();
    const deleted = await available(() => deleteArrivedBefore(pool, moment, DELETE_BATCH));
    if (deleted.length === 0) return count;
    await gone(deleted);
    count += deleted.length;
  }
}

async function afterDeletion(context: ServiceContext, pool: Pool, messages: readonly DeletedMessage[]): Promise<void> {
  const log = context.log.child('postfix/postsuper');
  for (const { queueId } of messages) log.info(`${queueId}: removed`);
  await forget(context, pool, messages);
}

/** Lets qmgr forget what it has in memory, and purges content in chunks. */
async function forget(context: ServiceContext, pool: Pool, messages: readonly DeletedMessage[]): Promise<void> {
  await notifyForget(
    pool,
    messages.map(({ queueId }) => queueId),
  );
  for (const { queueId, contentSubject } of messages) {
    if (contentSubject === null) continue;
    try {
      await purgeContent(await context.stores.nats(), contentSubject);
    } catch (error) {
      // No row refers to it any more: it is swept later.
      context.log.warning(`${queueId}: content is left to be swept: ${(error as Error).message}`);
    }
  }
}

async function* read(
  context: ServiceContext,
  pool: Pool,
  queueId: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ReadPart> {
  const [message] = isQueueId(queueId) ? await available(() => listByQueueId(pool, [queueId], 0)) : [];
  if (message === undefined) return;
  const found = (await available(() => noticedMessages(pool, [message]))).values().next().value;
  const { entries, content } = context;
  const stored = found && (await available(() => readStoredMessage(entries, found.at, queueId)));
  if (stored === undefined) return;
  yield { envelope: Buffer.from(Envelope.encode(stored.envelope).finish()), content: Buffer.alloc(0) };
  for await (const piece of content.read(stored.source, signal)) yield { envelope: Buffer.alloc(0), content: piece };
}
