import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveClients } from './active-clients.ts';

test('a client counts once, for as long as it goes on talking', () => {
  const active = new ActiveClients();
  const [one, two] = [{ heardIn: -1 }, { heardIn: -1 }];
  for (let now = 1000; now < 1012; now += 1) active.heard(one, now);
  active.heard(two, 1009);
  assert.equal(active.count(1012), 2);
  active.heard(one, 1024);
  assert.equal(active.count(1025), 2, 'what was heard a moment ago counts still');
  assert.equal(active.count(1041), 1);
  assert.equal(active.count(1100), 0);
  active.heard(two, 1100);
  assert.equal(active.count(1100), 1);
});
