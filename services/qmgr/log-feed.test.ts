/** The incoming log as qmgr reads it: from the server, or by hand from who writes it in the same process. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import fc from 'fast-check';
import { decodeFrame } from '../../lib/queue/frame.ts';
import { FramePublisher } from '../../lib/queue/frame-publisher.ts';
import { ensureStreams, incomingStream } from '../../lib/queue/streams.ts';
import { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Nats } from '../../lib/server/stores.ts';
import { createLog } from '../../lib/util/log.ts';
import { natsServer, startNats } from '../../test/support/nats.ts';
import { LogFeed } from './log-feed.ts';

const STREAM = incomingStream(0);
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
    open: (from = 1, told = written) => LogFeed.open({ nats, stream: STREAM, from, written: told, signal }),
    consumers: async () => (await nats.manager.streams.info(STREAM)).state.consumer_count,
  };
}

type TestLog = Awaited<ReturnType<typeof testLog>>;

/** The next messages of a feed. */
async function read(feed: LogFeed, count: number): Promise<Logged[]> {
  const found: Logged[] = [];
  while (found.length < count) {
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

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await holds()); await delay(10))
    if (Date.now() > end) throw new Error('it does not come to that within ten seconds');
}

/** Lets frames come by hand until the server is no longer asked; resolves to what was written and read meanwhile. */
async function byHand({ here, consumers }: TestLog, feed: LogFeed): Promise<void> {
  await until(async () => {
    const appended = await times(40, here);
    assert.deepEqual(await read(feed, 40), appended);
    return (await consumers()) === 0;
  });
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
  await until(async () => (await log.consumers()) === 1);
});

test('a frame from elsewhere between those that come by hand is read in its place', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  await byHand(log, feed);
  const appended = [...(await times(5, log.here)), await log.elsewhere(), ...(await times(60, log.here))];
  assert.deepEqual(await read(feed, appended.length), appended);
});

test('a reader that takes nothing for a while misses nothing, and holds no more than its bound', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  await byHand(log, feed);
  const octets = 400_000;
  const { nats, signal, written } = log;
  const publisher = new FramePublisher({ nats, signal, log: quiet, shard: 0, written });
  const sequences: number[] = [];
  for (let n = 0; n < 40; n++) {
    const outcome = await publisher.append(Buffer.from('large'), [Buffer.alloc(octets, n)], 1);
    if (outcome.kind === 'stored') sequences.push(outcome.sequence);
  }
  const first = (await feed.take()) ?? [];
  const ahead = first.reduce((sum, { bytes }) => sum + bytes.length, 0);
  assert.ok(ahead < 8 * 1024 * 1024 + 2 * octets, `${ahead} octets were read ahead`);
  const read = first.map(({ sequence }) => sequence);
  while (read.length < sequences.length) read.push(...((await feed.take()) ?? []).map(({ sequence }) => sequence));
  assert.deepEqual(read, sequences);
});

test('a log that was made anew while frames came by hand ends the feed', async (t) => {
  const log = await testLog(t, (await natsServer()).url);
  await using feed = await log.open();
  await byHand(log, feed);
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
  const told = fc.record({
    count: fc.integer({ min: 1, max: 60 }),
    late: fc.nat({ max: 3 }),
    lost: fc.nat({ max: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(told, { minLength: 1, maxLength: 8 }), async (rounds) => {
      const log = await testLog(t, url);
      // What is written goes by way of the test, which loses some of it and delays some.
      const heard = new WrittenFrames();
      let plan = rounds[0]!;
      let seen = 0;
      const waiting: (() => void)[] = [];
      log.written.listen(STREAM, ({ sequence, bytes }) => {
        if (plan.lost > 0 && ++seen % plan.lost === 0) return;
        const tell = () => heard.tell(STREAM, sequence, bytes as Buffer<ArrayBuffer>);
        if (plan.late === 0) tell();
        else if (waiting.push(tell) > plan.late) for (const late of waiting.splice(0).reverse()) late();
      });
      await using feed = await log.open(1, heard);
      const appended: Logged[] = [];
      for (plan of rounds) {
        appended.push(...(await times(plan.count, log.here)));
        if (plan.lost % 2 === 1) appended.push(await log.elsewhere());
      }
      assert.deepEqual(await read(feed, appended.length), appended);
    }),
    { numRuns: 15 },
  );
});
