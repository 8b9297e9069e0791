/** The incoming log as qmgr reads it: from the server, or by hand from who writes it in the same process. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import fc from 'fast-check';
import { decodeFrame, encodeFrame } from '../../lib/queue/frame.ts';
import { FramePublisher } from '../../lib/queue/frame-publisher.ts';
import { ensureStreams, incomingStream } from '../../lib/queue/streams.ts';
import { type WrittenFrame, WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Nats } from '../../lib/server/stores.ts';
import { createLog } from '../../lib/util/log.ts';
import { natsServer, startNats } from '../../test/support/nats.ts';
import { until } from '../../test/support/until.ts';
import { LogFeed, type LogFeedOptions } from './log-feed.ts';

/** Seconds that what a test waits for may take. */
const LIMIT = 10;

const STREAM = incomingStream(0);
/** Milliseconds, long enough for sixteen frames on a slow disk to follow each other. */
const QUIET = 400;
const quiet = createLog({ program: 'postfix/qmgr', format: 'postfix', write: () => undefined });

interface Logged {
  readonly text: string;
  readonly sequence: number;
}

/** One log, with writers in the process of its reader (`here`) and in another (`elsewhere`). */
async function testLog(t: TestContext, url: string) {
  const connection = await connect({ servers: url });
  const nats: Nats = { connection, manager: await jetstreamManager(connection), jetstream: jetstream(connection) };
  await nats.manager.streams.delete(STREAM).catch(() => undefined);
  await ensureStreams(nats.manager, { shards: 1, replicas: 1, maxBytes: 0 });
  const stop = new AbortController();
  t.after(async () => {
    stop.abort();
    await connection.close();
  });
  const { signal } = stop;
  const written = new WrittenFrames();
  const publisher = (told: WrittenFrames) =>
    new FramePublisher({ nats, shard: 0, log: quiet, signal, written: told, answerTimeout: 300 });
  const [here, elsewhere] = [publisher(written), publisher(new WrittenFrames())];
  let count = 0;
  const append = async (writer: FramePublisher): Promise<Logged> => {
    const text = `message ${count++}`;
    // A client alone: its frame does not wait for others.
    const outcome = await writer.append(Buffer.from('envelope'), [Buffer.from(text)], 1);
    if (outcome.kind !== 'stored') throw new Error(outcome.kind);
    return { text, sequence: outcome.sequence };
  };
  return {
    nats,
    written,
    signal,
    here: () => append(here),
    elsewhere: () => append(elsewhere),
    open: (from = 1, more: Partial<LogFeedOptions> = {}) =>
      LogFeed.open({ nats, stream: STREAM, from, written, signal, quiet: QUIET, ...more }),
    consumers: async () => (await nats.manager.streams.info(STREAM)).state.consumer_count,
  };
}

type TestLog = Awaited<ReturnType<typeof testLog>>;

/** The next messages of a feed. */
async function read(feed: LogFeed, count: number, pause = () => 0): Promise<Logged[]> {
  const found: Logged[] = [];
  while (found.length < count) {
    if (pause() > 0) await delay(pause());
    const frames = await feed.take();
    if (frames === undefined) break;
    for (const { sequence, bytes } of frames) {
      const decoded = decodeFrame(bytes);
      if (decoded.kind !== 'frame') throw new Error(decoded.kind);
      for (const { content } of decoded.frame.entries) found.push({ text: content.toString(), sequence });
    }
  }
  return found;
}

async function times(count: number, append: () => Promise<Logged>): Promise<Logged[]> {
  const appended: Logged[] = [];
  while (appended.length < count) appended.push(await append());
  return appended;
}

/** Lets frames come by hand until the server is no longer asked; resolves to what was written and read meanwhile. */
async function byHand({ here, consumers }: TestLog, feed: LogFeed): Promise<void> {
  await until(
    'no consumer',
    async () => {
      const appended = await times(40, here);
      assert.deepEqual(await read(feed, 40), appended);
      return (await consumers()) === 0;
    },
    LIMIT,
  );
}

test('a log that others write is read from the server, from the sequence that is asked for', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  const before = await times(3, log.elsewhere);
  await using feed = await log.open(2);
  const after = await times(3, log.elsewhere);
  assert.deepEqual(await read(feed, 5), [...before.slice(1), ...after]);
});

test('while all is written in the same process, the server is not asked; after that it is', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  await byHand(log, feed);
  const fromElsewhere = await log.elsewhere();
  assert.deepEqual(await read(feed, 1), [fromElsewhere]);
  await until('a consumer', async () => (await log.consumers()) === 1, LIMIT);
});

test('a frame from elsewhere between those that come by hand is read in its place', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  await byHand(log, feed);
  const appended = [...(await times(5, log.here)), await log.elsewhere(), ...(await times(60, log.here))];
  assert.deepEqual(await read(feed, appended.length), appended);
});

/** The sequences of the next frames of a feed. */
async function sequencesOf(feed: LogFeed, count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const frames = await feed.take();
    assert.ok(frames !== undefined, `the feed ended after ${found}`);
    found.push(...frames.map(({ sequence }) => sequence));
  }
  return found;
}

test('a reader that takes nothing for a while misses nothing, and holds no more than its bound', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  const [readAhead, octets] = [256 * 1024, 40_000];
  await using feed = await log.open(1, { readAhead });
  await byHand(log, feed);
  const { nats, signal, written } = log;
  const publisher = new FramePublisher({ nats, signal, log: quiet, shard: 0, written });
  const sequences: number[] = [];
  for (let n = 0; n < 40; n++) {
    const outcome = await publisher.append(Buffer.from('large'), [Buffer.alloc(octets, n)], 1);
    if (outcome.kind === 'stored') sequences.push(outcome.sequence);
  }
  const first = (await feed.take()) ?? [];
  const ahead = first.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(ahead < readAhead + 2 * octets, `${ahead} octets were read ahead`);
  const read = first.map(({ sequence }) => sequence);
  read.push(...(await sequencesOf(feed, sequences.length - read.length)));
  assert.deepEqual(read, sequences);
});

test('frames that come too early, as many as there is room for, do not keep the missing one out', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  const told = new WrittenFrames();
  await using feed = await log.open(1, { written: told, readAhead: 1000 });
  const early = (sequence: number, length: number) => told.tell(STREAM, sequence, Buffer.alloc(length));
  const { sequence } = await log.elsewhere();
  assert.deepEqual(await sequencesOf(feed, 1), [sequence]);
  early(3, 2000);
  early(4, 2000);
  const rest = await times(4, log.elsewhere);
  assert.deepEqual(
    await sequencesOf(feed, 4),
    rest.map((one) => one.sequence),
  );
});

test('what a thread has written is read in another, byte for byte, and no longer in the first', async (t) => {
  const [there, here] = [new WrittenFrames(), new WrittenFrames()];
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  here.hearFrom(port1);
  there.tellThrough(port2);
  const { bytes } = encodeFrame([{ envelope: Buffer.from('e'), content: [Buffer.from('small')] }], 1, 1);
  const copy = Buffer.from(bytes);
  const heard = new Promise<WrittenFrame>((resolve) => here.listen(STREAM, resolve));
  port1.ref();
  there.tell(STREAM, 7, bytes);
  assert.deepEqual(await heard, { stream: STREAM, sequence: 7, bytes: copy });
  assert.equal(bytes.length, 0);
});

test('a log that was made anew while frames came by hand ends the feed', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  await byHand(log, feed);
  await log.nats.manager.streams.delete(STREAM);
  await ensureStreams(log.nats.manager, { shards: 1, replicas: 1, maxBytes: 0 });
  await assert.rejects(read(feed, 1), /INCOMING_0 is not the stream that was read before/);
});

test('a log that was made anew while it was read from the server ends the feed', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  const appended = await times(3, log.elsewhere);
  assert.deepEqual(await read(feed, 3), appended);
  await log.nats.manager.streams.delete(STREAM);
  await ensureStreams(log.nats.manager, { shards: 1, replicas: 1, maxBytes: 0 });
  await assert.rejects(read(feed, 1), /INCOMING_0 is not the stream that was read before/);
});

test('a server that was killed while frames came by hand: what comes after it is back is read', async (t) => {
  await using server = await startNats();
  const log = await testLog(t, server.url);
  await using feed = await log.open();
  await byHand(log, feed);
  await server.kill();
  await server.restart();
  // One that the server did not hear of is fenced off, and offered again as a client does.
  let rest: Logged | undefined;
  for (; rest === undefined; rest = await log.here().catch(() => undefined));
  const { sequence } = rest;
  // The feed may end with the server, as one that asks it does: whoever reads opens another.
  const found = await read(feed, 1).catch(async () => {
    await using next = await log.open(sequence);
    return await read(next, 1);
  });
  assert.deepEqual(found, [rest]);
});

test('whatever is told, in whatever order, with whatever gaps, is read once and in order', async (t) => {
  const { url } = await natsServer();
  const round = fc.record({
    count: fc.integer({ min: 1, max: 60 }),
    late: fc.nat({ max: 3 }),
    lost: fc.nat({ max: 20 }),
    /** Milliseconds for which nothing is taken afterwards. */
    pause: fc.constantFrom(0, 0, 5, 30),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(round, { minLength: 1, maxLength: 8 }),
      fc.constantFrom(500, 5000, 1_000_000),
      async (rounds, readAhead) => {
        const log = await testLog(t, url);
        // What is written goes by way of the test, which loses some of it and delays some.
        const written = new WrittenFrames();
        let plan = rounds[0]!;
        let seen = 0;
        const waiting: (() => void)[] = [];
        log.written.listen(STREAM, ({ sequence, bytes }) => {
          if (plan.lost > 0 && ++seen % plan.lost === 0) return;
          const tell = () => written.tell(STREAM, sequence, bytes as Buffer<ArrayBuffer>);
          if (plan.late === 0) tell();
          else if (waiting.push(tell) > plan.late) for (const late of waiting.splice(0).reverse()) late();
        });
        await using feed = await log.open(1, { written, readAhead, quiet: 20 });
        const total = rounds.reduce((sum, { count, lost }) => sum + count + (lost % 2), 0);
        const appended: Logged[] = [];
        const reading = read(feed, total, () => plan.pause);
        for (plan of rounds) {
          appended.push(...(await times(plan.count, log.here)));
          if (plan.lost % 2 === 1) appended.push(await log.elsewhere());
        }
        assert.deepEqual(await reading, appended);
      },
    ),
    { numRuns: 25 },
  );
});
