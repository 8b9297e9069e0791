import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DiscardPolicy, jetstream, jetstreamManager, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { type FlakyProxy, flakyProxy } from '../../test/support/flaky-proxy.ts';
import { type NatsServer, startNats } from '../../test/support/nats.ts';
import type { Nats } from '../server/stores.ts';
import { FatalError } from '../util/errors.ts';
import { createLog } from '../util/log.ts';
import { Appender } from './append.ts';
import { CHUNK_SIZE, ContentMissing, ContentWriter, createContentReader, purgeContent } from './content.ts';
import { decodeFrame, encodeFence, encodeFrame } from './frame.ts';
import { FramePublisher } from './frame-publisher.ts';
import { CONTENT_STREAM, checkStreams, ensureStreams, incomingStream, incomingSubject } from './streams.ts';

const SHARD = 0;
const STREAM = incomingStream(SHARD);
let server: NatsServer;
let nats: Nats;

async function open(port: number): Promise<Nats> {
  const connection = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  return { connection, manager: await jetstreamManager(connection), jetstream: jetstream(connection) };
}

const portOf = (url: string): number => Number(url.split(':').at(-1));

before(async () => {
  server = await startNats();
  nats = await open(portOf(server.url));
  await ensureStreams(nats.manager, { shards: 1, replicas: 1, maxBytes: 0 });
});
after(async () => {
  await nats.connection.close();
  await server[Symbol.asyncDispose]();
});

const silent = createLog({ program: 'test', format: 'postfix', write: () => undefined });
let writers = 0;

function appender(on: Nats, signal: AbortSignal, answerTimeout = 5000): { appender: Appender; subject: string } {
  const subject = incomingSubject(SHARD, `test${writers++}`);
  let fences = 0;
  return {
    subject,
    appender: new Appender({
      connection: on.connection,
      manager: on.manager,
      stream: STREAM,
      subject,
      answerTimeout,
      makeFence: () => encodeFence(writers, fences++).bytes,
      signal,
    }),
  };
}

const frame = (text: string, counter: number): Buffer =>
  encodeFrame([{ envelope: Buffer.from(text), content: [Buffer.from(text)] }], 77, counter).bytes;

/** How often exactly these bytes stand in the stream. */
async function copies(subject: string, bytes: Buffer): Promise<number> {
  let found = 0;
  for (let next = 1; ; ) {
    const message = await nats.manager.direct
      .getMessage(STREAM, { seq: next, next_by_subj: subject })
      .catch(() => null);
    if (message === null) return found;
    if (Buffer.from(message.data).equals(bytes)) found++;
    next = message.seq + 1;
  }
}

/** Runs with a proxy in front of the server. */
async function behindProxy(body: (nats: Nats, proxy: FlakyProxy) => Promise<void>): Promise<void> {
  await using proxy = await flakyProxy(portOf(server.url));
  const through = await open(proxy.port);
  try {
    await body(through, proxy);
  } finally {
    await through.connection.close();
  }
}

test('an appended frame is stored once, and the next one follows it', async () => {
  const { appender: log, subject } = appender(nats, AbortSignal.timeout(20_000));
  const first = await log.append(frame('one', 1));
  const second = await log.append(frame('two', 2));
  assert.equal(first.kind, 'stored');
  assert.equal(second.kind === 'stored' && first.kind === 'stored' && second.sequence > first.sequence, true);
  assert.equal(await copies(subject, frame('one', 1)), 1);
});

/** Writers at the two ways of expecting a sequence: one that has just begun, and one that has been alone for a while. */
const WRITERS: [string, number, string][] = [
  ['a new writer', 1, 'Nats-Expected-Last-Subject-Sequence'],
  ['a writer that is alone', 20, 'Nats-Expected-Last-Sequence'],
];

/** Appends that many frames. */
async function appendSome(log: Appender, count: number): Promise<void> {
  for (let n = 0; n < count; n++) assert.equal((await log.append(frame('before', n))).kind, 'stored');
}

for (const [who, before] of WRITERS)
  test(`a frame whose answer is lost was stored: the fence finds it, and it is not stored twice (${who})`, async () => {
    await behindProxy(async (through, proxy) => {
      const { appender: log, subject } = appender(through, AbortSignal.timeout(30_000), 500);
      await appendSome(log, before);
      proxy.swallowAnswers();
      const pending = log.append(frame('answer lost', 2));
      // The server has it before the connection breaks.
      while ((await copies(subject, frame('answer lost', 2))) === 0);
      proxy.cut();
      assert.equal((await pending).kind, 'stored');
      assert.equal(await copies(subject, frame('answer lost', 2)), 1);
      assert.equal((await log.append(frame('after', 3))).kind, 'stored');
    });
  });

for (const [who, before, expectation] of WRITERS)
  test(`a frame that the server did not get is fenced off, and refused when it comes late (${who})`, async () => {
    const { connection } = nats;
    const late: (() => void)[] = [];
    let expects: string[] = [];
    const slow = Object.create(connection) as typeof connection;
    slow.publish = (to, data, options) => {
      const publish = (): void => connection.publish(to, data, options);
      if (!Buffer.from(data as Uint8Array).equals(frame('late', 2))) publish();
      else {
        late.push(publish);
        expects = options?.headers?.keys().filter((name) => name.startsWith('Nats-Expected-Last')) ?? [];
      }
    };
    const { appender: log, subject } = appender({ ...nats, connection: slow }, AbortSignal.timeout(20_000), 300);
    await appendSome(log, before);
    assert.equal((await log.append(frame('late', 2))).kind, 'refused');
    assert.equal(late.length, 1);
    assert.deepEqual(expects, [expectation]);
    for (const publish of late) publish();
    assert.equal((await log.append(frame('next', 3))).kind, 'stored');
    assert.equal(await copies(subject, frame('late', 2)), 0);
  });

test('a writer that is alone again and again, and those that come between, lose nothing and store nothing twice', async () => {
  const signal = AbortSignal.timeout(20_000);
  let guesses = 0;
  const counting = Object.create(nats.connection) as typeof nats.connection;
  counting.publish = (to, data, options) => {
    if (options?.headers?.has('Nats-Expected-Last-Sequence')) guesses++;
    nats.connection.publish(to, data, options);
  };
  const steady = appender({ ...nats, connection: counting }, signal);
  const others = [appender(nats, signal), appender(nats, signal)];
  const [bursts, burst] = [8, 5];
  let [written, comingBack] = [0, others.length];
  const writeAll = async (): Promise<void> => {
    while (comingBack > 0) {
      assert.equal((await steady.appender.append(frame('steady', written))).kind, 'stored');
      written++;
    }
  };
  const comeBetween = async (log: Appender): Promise<void> => {
    for (let n = 0; n < bursts * burst; n++) {
      // The steady one has been alone for a while when the next burst comes.
      const quiet = written + 20;
      while (n % burst === 0 && written < quiet) await nextTurn();
      assert.equal((await log.append(frame('between', n))).kind, 'stored');
    }
    comingBack--;
  };
  await Promise.all([writeAll(), ...others.map((other) => comeBetween(other.appender))]);
  assert.ok(guesses > bursts, `${guesses} guesses`);
  const { state } = await nats.manager.streams.info(STREAM, { subjects_filter: '>' });
  assert.equal(state.subjects?.[steady.subject], written);
  for (const { subject } of others) {
    assert.equal(state.subjects?.[subject], bursts * burst);
    for (let n = 0; n < bursts * burst; n += 7) assert.equal(await copies(subject, frame('between', n)), 1);
  }
});

test('a log that another wrote to is offered the frame once more, with the expectation of its own subject', async () => {
  const [one, other] = [appender(nats, AbortSignal.timeout(20_000)), appender(nats, AbortSignal.timeout(20_000))];
  await appendSome(one.appender, 20);
  assert.equal((await other.appender.append(frame('other', 1))).kind, 'stored');
  assert.equal((await one.appender.append(frame('one', 21))).kind, 'stored');
  assert.equal(await copies(one.subject, frame('one', 21)), 1);
});

test('after a purge of the whole subject the next frame is stored all the same', async () => {
  const { appender: log, subject } = appender(nats, AbortSignal.timeout(20_000));
  assert.equal((await log.append(frame('purged', 1))).kind, 'stored');
  await nats.manager.streams.purge(STREAM, { filter: subject });
  assert.equal((await log.append(frame('fresh', 2))).kind, 'stored');
  assert.equal(await copies(subject, frame('fresh', 2)), 1);
});

test('entries that arrive together share frames, and each gets its own address', async () => {
  const publisher = new FramePublisher({ nats, shard: SHARD, log: silent, signal: AbortSignal.timeout(20_000) });
  const count = 300;
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, at) =>
      publisher.append(Buffer.from(`envelope ${at}`), [Buffer.from('content '), Buffer.from(String(at))]),
    ),
  );
  const addresses = outcomes.map((outcome) =>
    outcome.kind === 'stored' ? `${outcome.sequence}/${outcome.entry}` : outcome.kind,
  );
  assert.equal(new Set(addresses).size, count);
  const frames = new Set(outcomes.map((outcome) => (outcome.kind === 'stored' ? outcome.sequence : 0)));
  assert.ok(frames.size < 10, `${frames.size} frames for ${count} entries`);
  for (const [at, outcome] of outcomes.entries()) {
    assert.equal(outcome.kind, 'stored');
    if (outcome.kind !== 'stored' || at % 50 !== 0) continue;
    const message = await nats.manager.direct.getMessage(STREAM, { seq: outcome.sequence });
    const decoded = decodeFrame(Buffer.from(message!.data));
    assert.equal(decoded.kind === 'frame' && decoded.frame.entries[outcome.entry]?.content.toString(), `content ${at}`);
  }
});

test('an entry that waits for a log that does not answer is refused in time, and what was sent is unknown', async () => {
  await using dead = await startNats();
  const away = await open(portOf(dead.url));
  await ensureStreams(away.manager, { shards: 1, replicas: 1, maxBytes: 0 });
  const warnings: string[] = [];
  const log = createLog({
    program: 'test',
    format: 'postfix',
    write: () => undefined,
    observe: (level, text) => level === 'warning' && warnings.push(text),
  });
  const stop = new AbortController();
  const publisher = new FramePublisher({
    nats: away,
    shard: SHARD,
    log,
    signal: stop.signal,
    decisionTimeout: 800,
    answerTimeout: 200,
  });
  await dead.kill();
  const sent = publisher.append(Buffer.from('e'), [Buffer.from('sent')]);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const waiting = publisher.append(Buffer.from('e'), [Buffer.from('waiting')]);
  assert.equal((await sent).kind, 'unknown');
  assert.equal((await waiting).kind, 'refused');
  assert.deepEqual(warnings, ['the log of shard 0 does not answer']);
  stop.abort();
  await away.connection.close();
});

test('a stream without room refuses with "no space"', async () => {
  await using small = await startNats();
  const bounded = await open(portOf(small.url));
  await ensureStreams(bounded.manager, { shards: 1, replicas: 1, maxBytes: 64 * 1024 });
  const publisher = new FramePublisher({
    nats: bounded,
    shard: SHARD,
    log: silent,
    signal: AbortSignal.timeout(20_000),
  });
  const outcome = await publisher.append(Buffer.from('e'), [Buffer.alloc(100 * 1024)]);
  assert.equal(outcome.kind === 'refused' && outcome.noSpace, true);
  await bounded.connection.close();
});

test('large content comes back byte for byte, in chunks', async () => {
  const writer = new ContentWriter(nats);
  const whole = Buffer.alloc(3 * CHUNK_SIZE + 1234);
  for (let at = 0; at < whole.length; at++) whole[at] = (at * 7) & 0xff;
  for (let at = 0; at < whole.length; at += 100_001) await writer.write(whole.subarray(at, at + 100_001));
  const reference = await writer.finish();
  assert.equal(reference.chunks, 4);
  assert.equal(reference.size, whole.length);
  const reader = createContentReader(async () => nats);
  const source = { content: Buffer.alloc(0), contentSize: whole.length, contentReference: reference };
  const pieces: Buffer[] = [];
  for await (const piece of reader.read(source)) pieces.push(piece);
  assert.equal(Buffer.compare(Buffer.concat(pieces), whole), 0);
  await purgeContent(nats, reference.subject);
  await assert.rejects(async () => {
    for await (const _ of reader.read(source));
  }, ContentMissing);
});

test('content whose chunks are not those that were written is missing, never delivered', async () => {
  const writer = new ContentWriter(nats);
  await writer.write(Buffer.from('the right content'));
  const reference = await writer.finish();
  const reader = createContentReader(async () => nats);
  const source = {
    content: Buffer.alloc(0),
    contentSize: reference.size,
    contentReference: { ...reference, checksum: reference.checksum ^ 1 },
  };
  const seen: Buffer[] = [];
  await assert.rejects(async () => {
    for await (const piece of reader.read(source)) seen.push(piece);
  }, ContentMissing);
  assert.deepEqual(seen, []);
});

const GOOD_CONTENT = {
  name: CONTENT_STREAM,
  subjects: ['postfleet.content.*'],
  discard: DiscardPolicy.New,
  storage: StorageType.File,
};
const foreignStreams: [string, Partial<StreamConfig> & { name: string }, RegExp][] = [
  [
    'that lets old mail go for new',
    { ...GOOD_CONTENT, discard: DiscardPolicy.Old },
    /^stream CONTENT: discard is "old"/,
  ],
  ['that lives in memory', { ...GOOD_CONTENT, storage: StorageType.Memory }, /^stream CONTENT: storage is "memory"/],
  ['whose mail vanishes by age', { ...GOOD_CONTENT, max_age: 1_000_000_000 }, /^stream CONTENT: max_age is set/],
  ['of other subjects', { ...GOOD_CONTENT, subjects: ['other.*'] }, /^stream CONTENT: subjects are "other\.\*"/],
  [
    'that keeps few of each writer',
    { ...GOOD_CONTENT, max_msgs_per_subject: 5 },
    /^stream CONTENT: max_msgs_per_subject is 5/,
  ],
];
for (const [what, config, message] of foreignStreams)
  test(`a stream ${what} is refused by name and field`, async () => {
    await using other = await startNats();
    const foreign = await open(portOf(other.url));
    await foreign.manager.streams.add(config);
    for (const look of [
      () => ensureStreams(foreign.manager, { shards: 1, replicas: 1, maxBytes: 0 }),
      () => checkStreams(foreign.manager, 1),
    ])
      await assert.rejects(look, (error) => error instanceof FatalError && message.test(error.message));
    await foreign.connection.close();
  });

test('a service that only checks the streams says which one is missing', async () => {
  await using other = await startNats();
  const fleet = await open(portOf(other.url));
  await ensureStreams(fleet.manager, { shards: 1, replicas: 1, maxBytes: 0 });
  await checkStreams(fleet.manager, 1);
  await assert.rejects(checkStreams(fleet.manager, 2), /^FatalError: stream INCOMING_1 does not exist: make it with/);
  await fleet.connection.close();
});

test('a fleet that was made with more shards does not start with fewer', async () => {
  await using other = await startNats();
  const fleet = await open(portOf(other.url));
  await ensureStreams(fleet.manager, { shards: 3, replicas: 1, maxBytes: 0 });
  await assert.rejects(
    ensureStreams(fleet.manager, { shards: 2, replicas: 1, maxBytes: 0 }),
    /postfleet_shards is 2.*at least 3/,
  );
  await fleet.connection.close();
});
