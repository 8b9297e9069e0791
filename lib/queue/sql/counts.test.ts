/** Counts of the queue against a real Postgres, with rows as qmgr leaves them. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { createDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import { type QueueCounts, queueCounts } from './counts.ts';

let database: TestDatabase;

before(async () => {
  database = await createDatabase();
});
after(async () => {
  await database[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await database.pool.query('truncate message, recipient, log restart identity cascade');
  await database.pool.query(
    `insert into log (shard, kind, stream, created)
     values (0, 'incoming', 'INCOMING_0', ''), (1, 'incoming', 'INCOMING_1', ''), (0, 'deferred', 'DEFERRED', '')`,
  );
});

/** A message of shard `log - 1` that came so many seconds ago. */
async function message(log: number, sequence: number, age: number, hold = false): Promise<void> {
  await database.pool.query(
    `insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size, hold)
     values ($1, $2, 0, $1 - 1, 1, 'id', '', now() - make_interval(secs => $3), 1, $4)`,
    [log, sequence, age, hold],
  );
}

/** The counts, ages to ten seconds. */
async function counted(shards: readonly number[], bound?: number): Promise<QueueCounts> {
  const { messages, held, oldest, oldestHeld } = await queueCounts(database.pool, shards, bound);
  const rounded = (seconds: number): number => Math.round(seconds / 10) * 10;
  return { messages, held, oldest: rounded(oldest), oldestHeld: rounded(oldestHeld) };
}

test('an empty queue has no messages and no age', async () => {
  assert.deepEqual(await counted([0, 1]), { messages: 0, held: 0, oldest: 0, oldestHeld: 0 });
});

test('messages on hold count by themselves', async () => {
  await message(1, 1, 500);
  await message(1, 2, 900, true);
  await message(1, 3, 400);
  assert.deepEqual(await counted([0]), { messages: 2, held: 1, oldest: 500, oldestHeld: 900 });
});

test('messages of shards that others own do not count', async () => {
  await message(1, 1, 100);
  await message(2, 1, 900);
  assert.deepEqual(await counted([0]), { messages: 1, held: 0, oldest: 100, oldestHeld: 0 });
  assert.deepEqual(await counted([0, 1]), { messages: 2, held: 0, oldest: 900, oldestHeld: 0 });
});

test('beyond the bound the count ends, and the oldest message is still among those counted', async () => {
  for (let sequence = 1; sequence <= 5; sequence++) await message(1, sequence, 1000 - sequence * 100);
  await message(2, 1, 50);
  assert.deepEqual(await counted([0, 1], 3), { messages: 4, held: 0, oldest: 900, oldestHeld: 0 });
});
