/**
 * qmgr(8): reads the incoming logs of the shards that it owns, keeps the active queue, calls delivery agents, and writes
 * what became of every recipient.
 *
 * STRATEGIES
 *   leases       a shard belongs to one qmgr (lease.ts); scheduling writes carry its epoch, facts are taken from anyone
 *   exactly once rows and the position in the log are one transaction (ingest.ts)
 *   leaky bucket the active queue is limited in messages, content and recipients (active.ts, refill.ts)
 *   round robin  transports take turns, and destinations of a message (scheduler.ts, transport.ts)
 *   preemption   messages with few recipients slip past those with many (job.ts, preemption.ts)
 *   slow start   concurrency per destination follows success and failure (feedback.ts)
 *   dead ones    a destination that cannot be reached is left alone for a while (queue.ts, transport.ts)
 *   back-off     the delay doubles with the age of the message (defer.ts)
 *   group commit statuses, notices and removals are written in batches (status.ts, finish.ts)
 *   trimming     the log is purged up to a floor; what stays is copied forward (trim.ts)
 *
 * Logs `QUEUEID: from=<…>, size=…, nrcpt=… (queue active)`, `QUEUEID: removed`, and what the modules above log.
 * @see qmgr(8), SCHEDULER_README
 */
import { randomUUID } from 'node:crypto';
import type { DeliveryReply } from '../../lib/clients/protocols.ts';
import { createShards } from '../../lib/queue/sql/lease.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { queueWorker } from '../../lib/server/queue-worker.ts';
import { streamsAsExpected } from '../../lib/server/streams-as-expected.ts';
import { Wake } from '../../lib/util/wake.ts';
import type { QmgrContext } from './context.ts';
import { Finisher } from './finish.ts';
import { gauges } from './gauges.ts';
import { ShardLeases } from './lease.ts';
import type { ActiveMessage, Entry } from './message.ts';
import { listen, QUEUE_CHANNEL } from './notifications.ts';
import { type Judgement, judge } from './outcome.ts';
import { withRoutes } from './resolved-routes.ts';
import { Scheduler } from './scheduler.ts';
import {
  checkTransports,
  QMGR_PARAMETERS,
  qmgrSettings,
  type TransportSettings,
  transportSettings,
} from './settings.ts';
import { Shard } from './shard.ts';
import { StatusWriter } from './status.ts';
import { streamNames } from './streams.ts';
import { ringAtWakeups } from './wakeup.ts';

/** Settings of transports, compiled when a transport is first used. */
function transportTable(context: ServiceContext): (name: string) => TransportSettings {
  const table = new Map<string, TransportSettings>();
  return (name) => {
    let settings = table.get(name);
    if (settings === undefined) {
      settings = transportSettings(context.configuration, name);
      table.set(name, settings);
    }
    return settings;
  };
}

/** True where nothing is left to be written: a message that was delivered before it had rows. */
async function recordedWithoutRows(message: ActiveMessage, { outcome }: Judgement): Promise<boolean> {
  const { unwritten } = message;
  if (unwritten === undefined) return false;
  unwritten.delivered = outcome.single !== undefined;
  message.unwritten = undefined;
  return unwritten.settled;
}

async function open(service: ServiceContext) {
  const { log, metrics, tracing, clients, configuration } = service;
  const settings = qmgrSettings(configuration);
  checkTransports(configuration);
  const { stores } = service;
  const [nats, pool] = await Promise.all([stores.nats(), stores.postgres()]);
  await streamsAsExpected(nats, settings.shards, log, service.signal);
  await createShards(pool, settings.shards);
  const end = new AbortController();
  const { signal } = end;
  const transports = transportTable(service);
  const troubles = new Map<number, string>();
  const wake = new Wake();
  const status = new StatusWriter({ pool, log, metrics, signal });
  const finisher = new Finisher({ pool, nats, bounce: clients.bounce(), log, signal });
  const streamOf = streamNames(pool);

  /** Writes what an attempt came to and sees to what follows from it. */
  const outcome = async (entry: Entry, reply: DeliveryReply): Promise<void> => {
    const { message } = entry;
    const { envelope, key } = message;
    const judgement = judge(entry, reply, message.epoch, Date.now() / 1000, settings);
    if (judgement.expired > 0) {
      const status = message.forcedExpire === undefined ? 'expired' : 'force-expired';
      log.info(`${envelope.queueId}: from=<${envelope.sender}>, status=${status}, returned to sender`);
    }
    if (await recordedWithoutRows(message, judgement)) {
      finisher.removed(envelope.queueId, undefined);
      return;
    }
    const finished = await status.write(judgement.outcome);
    const contentSubject = envelope.contentReference?.subject;
    if (judgement.late) {
      finisher.late(key).catch((error: unknown) => log.warning(`${envelope.queueId}: delay notice: ${String(error)}`));
    }
    message.untold += finished ? 0 : judgement.untold;
    if (!finished) return;
    message.untold = 0;
    if (judgement.outcome.single !== undefined) finisher.removed(envelope.queueId, contentSubject);
    else finisher.add({ key, queueId: envelope.queueId, contentSubject });
  };

  const readContent = async (message: ActiveMessage): Promise<Buffer | undefined> => {
    const stream = await streamOf(message.at.log);
    return stream === undefined ? undefined : (await service.entries.readBytes({ stream, ...message.at }))?.content;
  };

  const rewrite = withRoutes(clients.rewrite());
  const scheduler: Scheduler = new Scheduler({
    activeLimit: settings.activeLimit,
    activeMemory: settings.activeMemory,
    recipientLimit: settings.recipientLimit,
    recipientMinimum: settings.recipientMinimum,
    clogWarnMs: settings.clogWarnMs,
    feedbackDebug: settings.feedbackDebug,
    log,
    resolve: (requests) => rewrite.resolve(requests),
    transportSettings: transports,
    agent: (transport) => clients.delivery(transport),
    epoch: (shard) => leases.epoch(shard),
    readContent,
    writable: () => status.writable,
    deadTime: settings.minimalBackoff * 1000,
    deferTransports: settings.deferTransports,
    outcome,
    released: (message) => {
      message.span?.end();
      // Others are put off: the sender hears at once of those that have failed, and of what was to be reported.
      if (message.untold === 0) return;
      finisher
        .tell(message.key)
        .catch((error: unknown) => log.warning(`${message.envelope.queueId}: notice: ${String(error)}`));
    },
    signal,
  });

  const context: QmgrContext = {
    settings,
    rule: {
      shards: settings.shards,
      perRecipient: (name) => transports(name).destinationRecipientLimit === 1,
      perTransport: (name) => transports(name).transportRateDelayMs > 0,
    },
    pool,
    nats,
    log,
    metrics,
    tracing,
    rewrite,
    content: service.content,
    entries: service.entries,
    written: service.written,
    scheduler,
    finisher,
    streamOf,
    wake,
    notify: () => {
      pool.query(`notify ${QUEUE_CHANNEL}`).catch(() => undefined);
    },
    trouble: (shard, text) => {
      if (text === undefined) troubles.delete(shard);
      else troubles.set(shard, text);
    },
  };

  const leases: ShardLeases = new ShardLeases({
    pool,
    owner: `${process.pid}-${randomUUID()}`,
    shards: settings.shards,
    leaseSeconds: settings.leaseSeconds,
    log,
    run: (shard, epoch, shardSignal) => new Shard(context, shard, epoch, shardSignal).run(),
    signal: service.draining,
  });

  ringAtWakeups(wake, service.wakeup ?? 0, signal);

  const tasks = [
    leases.run(),
    listen(
      pool,
      (payload) => {
        const [what, ...queueIds] = payload.split(' ');
        if (what === 'delete') scheduler.forget(new Set(queueIds));
        else if (what === 'flush') scheduler.forgetDead();
        wake.ring();
        scheduler.wake();
      },
      signal,
    ),
    gauges(context, () => leases.held, scheduler, signal),
  ];

  return {
    ready: () => leases.valid && troubles.size === 0,
    // The shards are given up while deliveries under way still run: their outcomes are facts, and count in any epoch.
    async [Symbol.asyncDispose]() {
      await tasks[0];
      await Promise.race([
        scheduler.drain(),
        new Promise((resolve) => service.signal.addEventListener('abort', resolve, { once: true })),
      ]);
      await Promise.race([
        Promise.all([status.drain(), finisher.drain()]),
        new Promise((resolve) => setTimeout(resolve, 2000)),
      ]);
      end.abort();
      await Promise.allSettled(tasks);
    },
  };
}

export const service = queueWorker({ name: 'qmgr', parameters: QMGR_PARAMETERS, open });
