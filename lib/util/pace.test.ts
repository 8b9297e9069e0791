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

test('a round that is hurried begins before its time, and the one after it keeps its distance', async () => {
  const pace = new Pace(10_000);
  pace.wait();
  const waiting = pace.wait();
  assert.ok(waiting instanceof Promise);
  pace.hurry();
  await waiting;
  assert.ok(pace.wait() instanceof Promise, 'the next round has to wait again');
  pace.hurry();
  pace.hurry();
  assert.equal(pace.wait(), undefined, 'hurried while nothing waited');
});

test('after a pause the next round begins at once', async () => {
  const pace = new Pace(20);
  pace.wait();
  await new Promise((resolve) => setTimeout(resolve, 40));
  assert.equal(pace.wait(), undefined);
});
