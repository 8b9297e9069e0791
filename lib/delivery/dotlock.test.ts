import assert from 'node:assert/strict';
import { readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { temporaryDirectory } from '../../test/support/delivery.ts';
import { lockMailbox, takeTurn } from './dotlock.ts';

const settings = { staleTime: 500, attempts: 1, delay: 1, mayFail: false };

test('a lock is held by one, and gone when it is released', async () => {
  await using directory = await temporaryDirectory();
  const mailbox = `${directory.path}/box`;
  const release = await lockMailbox(mailbox, settings);
  await assert.rejects(lockMailbox(mailbox, settings), { code: 'EEXIST' });
  await release();
  const again = await lockMailbox(mailbox, settings);
  await again();
  assert.deepEqual(await readdir(directory.path), []);
});

test('a lock older than stale_lock_time is taken, a younger one of an unknown holder is not', async () => {
  await using directory = await temporaryDirectory();
  const mailbox = `${directory.path}/box`;
  await writeFile(`${mailbox}.lock`, '99 elsewhere -\n');
  await assert.rejects(lockMailbox(mailbox, settings), { code: 'EEXIST' });
  const long = new Date(Date.now() - 600_000);
  await utimes(`${mailbox}.lock`, long, long);
  const release = await lockMailbox(mailbox, settings);
  assert.ok(Date.now() - (await stat(`${mailbox}.lock`)).mtimeMs < 60_000);
  await release();
});

test('turns of one process come in the order in which they were asked for', async () => {
  const order: number[] = [];
  await Promise.all(
    [1, 2, 3].map(async (number) => {
      const done = await takeTurn('/mailbox');
      order.push(number);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(-number);
      done();
    }),
  );
  assert.deepEqual(order, [1, -1, 2, -2, 3, -3]);
});
