/** What the rows of a batch say, and what becomes of rows that are there already. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { activateDue, nextDue, reclaimActive } from '../../lib/queue/sql/due.ts';
import { beginLog, shardPosition } from '../../lib/queue/sql/shard-log.ts';
import { readFrames } from './arrival.ts';
import { applyArrivals } from './ingest.ts';
import type { LogFrame } from './log-feed.ts';
import { type TestStores, testStores } from './stores-for-tests.ts';

const RECIPIENTS = [{ address: 'r@example.com' }];

/** Applies frames from the beginning of the log; resolves to the ids of what has rows. */
async function applyAll(stores: TestStores, frames: readonly LogFrame[], rule = stores.rule): Promise<string[]> {
  const { pool, log, shard, epoch, logNumber, arrivalContext } = stores;
  const read = await readFrames(arrivalContext, frames);
  const kept = await applyArrivals({ pool, log, shard, epoch, logNumber, rule }, { ...read, from: 0 });
  return kept.map(({ envelope }) => envelope.queueId);
}

test('of what comes, only what is for another shard and not on hold is due', async () => {
  await using stores = await testStores(2);
  const { pool, epoch, shard } = stores;
  // Half of these are for the other shard.
  const recipients = Array.from({ length: 32 }, (_, at) => ({ address: `r${at}@example.com` }));
  await stores.append({ queueId: 'held', recipients, hold: true });
  const rule = { shards: 2, perRecipient: () => true, perTransport: () => false };
  const frames = await stores.frames();
  await applyAll(stores, frames, rule);
  const { rows } = await pool.query('select distinct shard from recipient order by shard');
  assert.deepEqual(rows, [{ shard: 0 }, { shard: 1 }]);
  for (const each of [0, 1]) assert.equal(await nextDue(pool, each), undefined);
  assert.equal(await reclaimActive(pool, shard, epoch, []), 0);

  await stores.append({ queueId: 'free', recipients });
  await pool.query('truncate message, recipient');
  await beginLog(pool, shard, epoch, stores.logNumber);
  await applyAll(stores, (await stores.frames()).slice(1), rule);
  assert.equal(await nextDue(pool, shard), undefined);
  assert.notEqual(await nextDue(pool, 1 - shard), undefined);
});

for (const idempotenceKey of ['', 'one submission'])
  test(`a log that comes back is read again beside the rows that it has${idempotenceKey && ', with a key'}`, async () => {
    await using stores = await testStores();
    const { pool, shard, epoch, logNumber } = stores;
    for (const queueId of ['a', 'b']) await stores.append({ queueId, recipients: RECIPIENTS });
    assert.deepEqual(await applyAll(stores, await stores.frames()), ['a', 'b']);
    await pool.query('update recipient set attempts = 7');
    await beginLog(pool, shard, epoch, logNumber);
    await stores.append({ queueId: 'c', recipients: RECIPIENTS, idempotenceKey });
    assert.deepEqual(await applyAll(stores, await stores.frames()), ['a', 'b', 'c']);

    const { rows } = await pool.query(
      'select queue_id, attempts from message join recipient using (log, sequence, entry) order by sequence',
    );
    assert.deepEqual(
      rows.map(({ queue_id, attempts }) => [queue_id, attempts]),
      [
        ['a', 7],
        ['b', 7],
        ['c', 0],
      ],
    );
    assert.equal((await pool.query('select from corrupt')).rowCount, 0);
    assert.equal((await shardPosition(pool, shard))?.appliedSequence, 3);
    assert.deepEqual(await activateDue(pool, shard, epoch, 10), []);
  });

test('a batch with rows that are there and an entry that Postgres refuses keeps the ones and sets the other aside', async () => {
  await using stores = await testStores();
  const { pool, shard, epoch, logNumber } = stores;
  await stores.append({ queueId: 'a', recipients: RECIPIENTS });
  await applyAll(stores, await stores.frames());
  await beginLog(pool, shard, epoch, logNumber);
  for (const queueId of ['b', 'bad\0', 'c']) await stores.append({ queueId, recipients: RECIPIENTS });
  assert.deepEqual(await applyAll(stores, await stores.frames()), ['a', 'b', 'c']);
  const { rows } = await pool.query('select sequence from corrupt');
  assert.deepEqual(rows, [{ sequence: 3 }]);
});
