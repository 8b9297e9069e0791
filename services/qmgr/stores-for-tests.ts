/** A queue of one shard or more on real servers, for the tests of what qmgr does to logs and rows. */
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Envelope, type TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ContentWriter, createContentReader } from '../../lib/queue/content.ts';
import { createEntryReader, wholeEnvelope } from '../../lib/queue/entry-reader.ts';
import { FramePublisher } from '../../lib/queue/frame-publisher.ts';
import { createShards, takeShards } from '../../lib/queue/sql/lease.ts';
import { beginLog, logNumber } from '../../lib/queue/sql/shard-log.ts';
import { ensureStreams, incomingStream } from '../../lib/queue/streams.ts';
import { createMetrics } from '../../lib/server/metrics.ts';
import type { Nats } from '../../lib/server/stores.ts';
import { NO_TRACING } from '../../lib/server/tracing.ts';
import { createLog } from '../../lib/util/log.ts';
import { startNats } from '../../test/support/nats.ts';
import { createDatabase } from '../../test/support/postgres.ts';
import { type ArrivalContext, readFrames } from './arrival.ts';
import { applyArrivals } from './ingest.ts';
import type { LogFrame } from './log-feed.ts';
import { testResolve } from './messages-for-tests.ts';
import { streamNames } from './streams.ts';

export const rewriteForTests = {
  resolve: async (requests) => requests.map(({ address }) => testResolve(address)),
} as Pick<TrivialRewrite, 'resolve'> as TrivialRewrite;

/** Shard 0 is ours under `epoch`; what is appended has rows only when it is applied. */
export async function testStores(shards = 1) {
  const server = await startNats();
  const database = await createDatabase();
  const { pool } = database;
  const connection = await connect({ servers: server.url });
  const nats: Nats = { connection, manager: await jetstreamManager(connection), jetstream: jetstream(connection) };
  await ensureStreams(nats.manager, { shards, replicas: 1, maxBytes: 0 });
  await createShards(pool, shards);
  const [taken] = await takeShards(pool, 'qmgr-test', 600, 1);
  const { shard, epoch } = taken!;
  const { created } = await nats.manager.streams.info(incomingStream(shard));
  const number = await logNumber(pool, shard, 'incoming', incomingStream(shard), created);
  await beginLog(pool, shard, epoch, number);
  const lines: string[] = [];
  const log = createLog({
    program: 'postfix/qmgr',
    format: 'postfix',
    write: () => undefined,
    observe: (_level, text) => lines.push(text),
  });
  const stop = new AbortController();
  const { signal } = stop;
  const content = createContentReader(async () => nats);
  const entries = createEntryReader(async () => nats);
  const rule = { shards: 1, perRecipient: () => false, perTransport: () => false };
  const arrivalContext: ArrivalContext = {
    log,
    rewrite: rewriteForTests,
    tracing: NO_TRACING,
    shard,
    epoch,
    logNumber: number,
    rule,
    readEnvelope: (stub) => wholeEnvelope(content, stub),
  };
  const publishers = new Map<number, FramePublisher>();
  let applied = 0;

  /** Appends a message to a shard's log; resolves to its sequence. One frame each. */
  async function append(envelope: Parameters<typeof Envelope.fromPartial>[0], body = Buffer.from('x'), to = shard) {
    let publisher = publishers.get(to);
    if (publisher === undefined) {
      publisher = new FramePublisher({ nats, shard: to, log, signal });
      publishers.set(to, publisher);
    }
    const whole = {
      sender: 'a@example.com',
      contentSize: body.length,
      arrivalTime: 1_700_000_000_000_000,
      ...envelope,
    };
    const bytes = Buffer.from(Envelope.encode(Envelope.fromPartial(whole)).finish());
    const outcome = await publisher.append(bytes, [body]);
    if (outcome.kind !== 'stored') throw new Error(outcome.kind);
    return outcome.sequence;
  }

  /** Appends a message whose envelope lies in chunks; resolves to their subject. */
  async function appendStub(queueId: string, addresses: readonly string[]): Promise<string> {
    const envelope = Envelope.fromPartial({
      queueId,
      sender: 'a@example.com',
      recipients: addresses.map((address) => ({ address })),
      contentSize: 1,
    });
    const writer = new ContentWriter(nats);
    await writer.write(Buffer.from(Envelope.encode(envelope).finish()));
    const envelopeReference = await writer.finish();
    await append({ queueId, contentSize: 1, envelopeReference });
    return envelopeReference.subject;
  }

  /** What lies in the log of shard 0 beyond what was applied. */
  async function frames(): Promise<LogFrame[]> {
    const stream = incomingStream(shard);
    const { state } = await nats.manager.streams.info(stream);
    const found: LogFrame[] = [];
    for (let sequence = applied + 1; sequence <= state.last_seq; sequence++) {
      const message = await nats.manager.streams.getMessage(stream, { seq: sequence });
      found.push({ sequence, bytes: Buffer.from(message!.data) });
    }
    return found;
  }

  /** Applies that, as the reader of the shard does; resolves to the queue ids that have rows. */
  async function apply(): Promise<string[]> {
    const read = await readFrames(arrivalContext, await frames());
    const context = { pool, log, shard, epoch, logNumber: number, rule };
    const kept = await applyArrivals(context, { ...read, from: applied });
    applied = read.to;
    return kept.map(({ envelope }) => envelope.queueId);
  }

  return {
    server,
    database,
    pool,
    nats,
    log,
    lines,
    entries,
    content,
    metrics: createMetrics(),
    streamOf: streamNames(pool),
    shard,
    epoch,
    logNumber: number,
    rule,
    signal,
    arrivalContext,
    append,
    appendStub,
    frames,
    apply,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await connection.close();
      await database[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

export type TestStores = Awaited<ReturnType<typeof testStores>>;
