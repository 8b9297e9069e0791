/** Entries that cannot be taken in are set aside, each alone, and whatever stops in the middle of that has changed nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pool, PoolClient } from 'pg';
import { ContentWriter } from '../../lib/queue/content.ts';
import { encodeFrame } from '../../lib/queue/frame.ts';
import { shardPosition } from '../../lib/queue/sql/shard-log.ts';
import { readFrames } from './arrival.ts';
import { applyArrivals } from './ingest.ts';
import { type TestStores, testStores } from './stores-for-tests.ts';
import { sweepContent } from './sweep.ts';

const RECIPIENTS = [{ address: 'r@example.com' }];
/** Postgres takes no NUL in a text. */
const REFUSED = 'bad\0';

const queueIds = async (stores: TestStores): Promise<string[]> =>
  (await stores.pool.query('select queue_id from message order by sequence')).rows.map(({ queue_id }) => queue_id);
const setAside = async (stores: TestStores): Promise<number[]> =>
  (await stores.pool.query('select sequence from corrupt order by sequence')).rows.map(({ sequence }) => sequence);

/** The pool, with a statement that fails where `fails` says so. */
function failing(pool: Pool, fails: (text: string) => boolean): Pool {
  const connect = async (): Promise<PoolClient> => {
    const client = await pool.connect();
    const query = (statement: string | { text: string }, values?: unknown[]) => {
      if (fails(typeof statement === 'string' ? statement : statement.text))
        return Promise.reject(new Error('the connection is gone'));
      return client.query(statement as string, values);
    };
    return { query, release: () => client.release() } as unknown as PoolClient;
  };
  return { query: pool.query.bind(pool), connect } as unknown as Pool;
}

test('what Postgres refuses is set aside alone, keyed or not, and the rest of the batch has rows', async () => {
  await using stores = await testStores();
  for (const queueId of ['a', REFUSED, 'b', 'c', REFUSED, 'd', 'e']) {
    const idempotenceKey = queueId === 'b' || queueId === 'd' ? 'the same submission' : '';
    await stores.append({ queueId, recipients: RECIPIENTS, idempotenceKey });
  }
  assert.deepEqual(await stores.apply(), ['a', 'b', 'c', 'e']);
  assert.deepEqual(await queueIds(stores), ['a', 'b', 'c', 'e']);
  assert.deepEqual(await setAside(stores), [2, 5]);
  assert.equal((await shardPosition(stores.pool, 0))?.appliedSequence, 7);
});

test('an entry that is set aside keeps its content, inline or in chunks', async () => {
  await using stores = await testStores();
  const writer = new ContentWriter(stores.nats);
  await writer.write(Buffer.from('large content'));
  const contentReference = await writer.finish();
  await stores.append({ queueId: REFUSED, recipients: RECIPIENTS }, Buffer.from('small content'));
  await stores.append({ queueId: REFUSED, recipients: RECIPIENTS, contentReference }, Buffer.alloc(0));
  assert.deepEqual(await stores.apply(), []);
  const { rows } = await stores.pool.query('select content, subjects from corrupt order by sequence');
  assert.deepEqual(
    rows.map(({ content, subjects }) => [content.toString(), subjects]),
    [
      ['small content', []],
      ['', [contentReference.subject]],
    ],
  );
  assert.equal(await sweepContent({ ...stores, shards: 1 }, -1000), 0);
  await stores.pool.query('delete from corrupt');
  assert.equal(await sweepContent({ ...stores, shards: 1 }, -1000), 1);
});

test('a qmgr that dies while it looks for what is refused has applied nothing', async () => {
  await using stores = await testStores();
  for (const queueId of ['a', 'b', REFUSED, 'c']) await stores.append({ queueId, recipients: RECIPIENTS });
  const frames = await stores.frames();
  const read = await readFrames(stores.arrivalContext, frames);
  const { log, shard, epoch, logNumber, rule } = stores;
  const pool = failing(stores.pool, (text) => text.includes('into corrupt'));
  const context = { pool, log, shard, epoch, logNumber, rule };
  await assert.rejects(applyArrivals(context, { ...read, from: 0 }), /the connection is gone/);
  assert.deepEqual(await queueIds(stores), []);
  const { appliedSequence, appliedFrame } = (await shardPosition(stores.pool, 0))!;
  assert.deepEqual([appliedSequence, appliedFrame], [0, '']);
  assert.deepEqual(await stores.apply(), ['a', 'b', 'c']);
});

test('a damaged frame and an envelope that is none are set aside, and their neighbours have rows', async () => {
  await using stores = await testStores();
  await stores.append({ queueId: 'a', recipients: RECIPIENTS });
  const [whole] = await stores.frames();
  const damaged = Buffer.from(whole!.bytes);
  damaged[damaged.length - 1]! ^= 1;
  const noEnvelope = encodeFrame([{ envelope: Buffer.from([0xff, 0xff]), content: [Buffer.from('x')] }], 1, 1).bytes;
  const read = await readFrames(stores.arrivalContext, [
    whole!,
    { sequence: 2, bytes: damaged },
    { sequence: 3, bytes: noEnvelope },
  ]);
  assert.deepEqual(
    read.corrupt.map(({ sequence }) => sequence),
    [2, 3],
  );
  const { pool, log, shard, epoch, logNumber, rule } = stores;
  await applyArrivals({ pool, log, shard, epoch, logNumber, rule }, { ...read, from: 0 });
  assert.deepEqual(await queueIds(stores), ['a']);
  assert.deepEqual(await setAside(stores), [2, 3]);
});
