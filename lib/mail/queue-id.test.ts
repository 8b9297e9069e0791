import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createQueueIdGenerator, isQueueId, queueIdTime } from './queue-id.ts';

test('a queue id has the long form and tells its time', () => {
  const next = createQueueIdGenerator();
  for (const time of [1n, 1_795_000_000_000_000n, 1_795_000_000_999_999n]) {
    const id = next(time);
    assert.match(id, /^[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{11}$/);
    assert.ok(isQueueId(id));
    assert.equal(queueIdTime(id), time);
  }
});

test('ids of one moment differ within a process and between processes', () => {
  const [one, other] = [createQueueIdGenerator(), createQueueIdGenerator()];
  const ids = new Set<string>();
  for (let count = 0; count < 20_000; count++) ids.add(one(5n)).add(other(5n));
  assert.equal(ids.size, 40_000);
});

test('the process part is drawn anew before the counter repeats', () => {
  let drawn = 0;
  const next = createQueueIdGenerator({ drawProcess: () => drawn++, idsPerDraw: 3 });
  const ids = new Set([next(5n), next(5n), next(5n)]);
  assert.equal(drawn, 1);
  ids.add(next(5n));
  assert.equal(drawn, 2);
  assert.equal(ids.size, 4);
});

test('what could leave a file name or a log line is no queue id', () => {
  for (const text of ['', '../x', 'a b', 'a\n', 'x'.repeat(65)]) assert.ok(!isQueueId(text), text);
  for (const text of ['4fRv2Q0b1zz1234', '84DF2984113']) assert.ok(isQueueId(text), text);
  assert.equal(queueIdTime('84DF2984113'), undefined);
});
