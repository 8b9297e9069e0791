/** Messages whose last recipient is done and whose notice nobody has made, on a real Postgres. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finishRecipients } from '../../lib/queue/sql/status.ts';
import type { Finishing } from './finish.ts';
import { type TestStores, testStores } from './stores-for-tests.ts';
import { seeToUnfinished } from './unfinished.ts';

/** Gives a message of shard 0 its rows, and finishes its recipients as any shard's owner does. */
async function finish(stores: TestStores, queueId: string): Promise<void> {
  await stores.append({ queueId, recipients: [{ address: 'a@example.com' }, { address: 'b@example.net' }] });
  await stores.apply();
  const { rows } = await stores.pool.query('select log, sequence, entry, recipient from recipient');
  await finishRecipients(stores.pool, rows);
}

/** Looks until the signal; `found` is what it gives to the finisher, message by message. */
function looking(stores: TestStores, interval: number) {
  const stop = new AbortController();
  const found: string[] = [];
  let heard = Promise.withResolvers<void>();
  const add = ({ queueId }: Finishing): void => {
    found.push(queueId);
    heard.resolve();
    heard = Promise.withResolvers<void>();
  };
  const { pool, shard } = stores;
  const running = seeToUnfinished({ pool, shard, finisher: { add }, signal: stop.signal, interval });
  return {
    found,
    next: () => Promise.race([heard.promise, running]),
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
}

test('what the former owner left is taken at the first look', async () => {
  await using stores = await testStores();
  await finish(stores, 'left');
  await using look = looking(stores, 60_000);
  await look.next();
  assert.deepEqual(look.found, ['left']);
});

test("what another shard's owner finishes is taken when it is still there at the second look, and no message in work is", async () => {
  await using stores = await testStores();
  await finish(stores, 'earlier');
  await using look = looking(stores, 50);
  await look.next();
  // Another look or two pass before this one is seen a second time.
  await finish(stores, 'left by another');
  while (!look.found.includes('left by another')) await look.next();
  await stores.append({ queueId: 'in work', recipients: [{ address: 'a@example.com' }] });
  await stores.apply();
  const before = look.found.length;
  while (look.found.length < before + 4) await look.next();
  assert.deepEqual(new Set(look.found), new Set(['earlier', 'left by another']));
});

test('a message that is finished between two looks is not taken', async () => {
  await using stores = await testStores();
  await finish(stores, 'left');
  await using look = looking(stores, 200);
  await look.next();
  await stores.pool.query('delete from message');
  await finish(stores, 'seen to by its own');
  await stores.pool.query('delete from message');
  await finish(stores, 'next');
  while (!look.found.includes('next')) await look.next();
  assert.ok(!look.found.includes('seen to by its own'));
});
