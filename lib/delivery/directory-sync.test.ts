import assert from 'node:assert/strict';
import { test } from 'node:test';
import { temporaryDirectory } from '../../test/support/delivery.ts';
import { syncDirectory } from './directory-sync.ts';

test('whoever asks while a sync is under way shares the next one', async () => {
  await using directory = await temporaryDirectory();
  const first = syncDirectory(directory.path);
  const second = syncDirectory(directory.path);
  const third = syncDirectory(directory.path);
  assert.notEqual(first, second, 'the running one may have begun before the change');
  assert.equal(second, third);
  await Promise.all([first, second, third]);
  await syncDirectory(directory.path);
});

test('an error reaches all who share it, and not those who come later', async () => {
  await using directory = await temporaryDirectory();
  const missing = `${directory.path}/missing`;
  const both = [syncDirectory(missing), syncDirectory(missing)];
  for (const outcome of await Promise.allSettled(both)) assert.equal(outcome.status, 'rejected');
  const { mkdir } = await import('node:fs/promises');
  await mkdir(missing);
  await syncDirectory(missing);
});
