import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from './pace.ts';

test('the first round begins at once, the next one only after its time', async () => {
  const pace = new Pace(40);
  const began = performance.now();
  assert.equal(pace.wait(), undefined);
  await pace.wait();
  await pace.wait();
  assert.ok(performance.now() - began >= 75, 'two more rounds came too soon');
});

test('after a pause the next round begins at once', async () => {
  const pace = new Pace(20);
  pace.wait();
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(pace.wait(), undefined);
});
