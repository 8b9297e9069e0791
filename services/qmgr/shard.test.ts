/** A shard over real stores: what a frame that only a later version understands stops, and what it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Envelope } from '../../lib/clients/protocols.ts';
import { encodeFrame } from '../../lib/queue/frame.ts';
import { shardPosition } from '../../lib/queue/sql/shard-log.ts';
import { WrittenFrames } from '../../lib/queue/written-frames.ts';
import { NO_TRACING } from '../../lib/server/tracing.ts';
import { Wake } from '../../lib/util/wake.ts';
import { LaterVersion, readFrames } from './arrival.ts';
import type { QmgrContext } from './context.ts';
import { Shard } from './shard.ts';
import { rewriteForTests, type TestStores, testStores } from './stores-for-tests.ts';

const RECIPIENTS = [{ address: 'r@example.com' }];

function frameOf(queueId: string, counter: number): Buffer {
  const envelope = Envelope.encode(Envelope.fromPartial({ queueId, recipients: RECIPIENTS })).finish();
  return encodeFrame([{ envelope: Buffer.from(envelope), content: [Buffer.from('x')] }], 7, counter).bytes;
}

function laterFrame(queueId: string, counter: number): Buffer {
  const bytes = frameOf(queueId, counter);
  bytes[2] = 9;
  return bytes;
}

/** Runs shard 0 with an active queue that takes everything and delivers nothing, until somebody must be told of trouble. */
async function untilTrouble(stores: TestStores): Promise<string> {
  const stop = new AbortController();
  const trouble = Promise.withResolvers<string>();
  const context = {
    ...stores,
    settings: { graceSeconds: 600, graceBytes: 2 ** 30, shards: 1 },
    written: new WrittenFrames(),
    tracing: NO_TRACING,
    rewrite: rewriteForTests,
    scheduler: { keys: () => [], room: 0, waitForRoom: async () => undefined, admit: () => undefined },
    finisher: { add: () => undefined },
    wake: new Wake(),
    notify: () => undefined,
    trouble: (_shard: number, text: string | undefined) => text !== undefined && trouble.resolve(text),
  } as unknown as QmgrContext;
  const running = new Shard(context, stores.shard, stores.epoch, stop.signal).run();
  try {
    return await trouble.promise;
  } finally {
    stop.abort();
    await running;
  }
}

test('a frame of a later version stops its shard there: what came before has rows, and nothing is set aside', async () => {
  await using stores = await testStores();
  const { connection } = stores.nats;
  const bytes = [frameOf('a', 1), frameOf('b', 2), laterFrame('c', 3), frameOf('d', 4)];
  for (const frame of bytes) await connection.request('postfleet.incoming.0.writer', frame);
  assert.equal(await untilTrouble(stores), 'frame 3 has version 9');
  const { rows } = await stores.pool.query('select queue_id from message order by sequence');
  assert.deepEqual(
    rows.map(({ queue_id }) => queue_id),
    ['a', 'b'],
  );
  assert.equal((await shardPosition(stores.pool, 0))?.appliedSequence, 2);
  assert.equal((await stores.pool.query('select 1 from corrupt')).rowCount, 0);
});

test('a log that was restored is read again from its first frame once, and not at each new beginning', async () => {
  await using stores = await testStores();
  const { connection } = stores.nats;
  await connection.request('postfleet.incoming.0.writer', frameOf('a', 1));
  await connection.request('postfleet.incoming.0.writer', laterFrame('b', 2));
  await stores.pool.query(`update shard set applied_sequence = 1, applied_frame = 'of another life' where shard = 0`);
  await untilTrouble(stores);
  const restored = await shardPosition(stores.pool, 0);
  assert.notEqual(restored?.log, stores.logNumber);
  assert.equal(restored?.appliedSequence, 1);
  await untilTrouble(stores);
  assert.deepEqual(await shardPosition(stores.pool, 0), restored);
  assert.equal(stores.lines.filter((line) => line.includes('is not the stream that was read before')).length, 1);
});

test('frames that were read together are taken up to one of a later version, which is an error only when it is the first', async () => {
  await using stores = await testStores();
  const frames = [
    { sequence: 5, bytes: frameOf('a', 1) },
    { sequence: 6, bytes: laterFrame('b', 2) },
    { sequence: 7, bytes: frameOf('c', 3) },
  ];
  const read = await readFrames(stores.arrivalContext, frames);
  assert.deepEqual([read.to, read.arrivals.length], [5, 1]);
  await assert.rejects(
    readFrames(stores.arrivalContext, frames.slice(1)),
    (error) => error instanceof LaterVersion && error.message === 'frame 6 has version 9',
  );
});
