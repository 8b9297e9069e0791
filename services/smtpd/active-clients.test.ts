import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveClients, NEVER } from './active-clients.ts';

test('a client counts once, for as long as it goes on talking', () => {
  const active = new ActiveClients();
  const [one, two] = [{ heardIn: NEVER }, { heardIn: NEVER }];
  for (let now = 1000; now < 1012; now += 1) active.heard(one, now);
  active.heard(two, 1009);
  assert.equal(active.count(1012), 2);
  active.heard(one, 1024);
  assert.equal(active.count(1025), 2, 'what was heard a moment ago counts still');
  assert.equal(active.count(1041), 1, 'one was heard in the window before, two earlier');
  assert.equal(active.count(1100), 0);
  active.heard(two, 1100);
  assert.equal(active.count(1100), 1);
});

test('clients that come, send one message and go are as many as have a connection', () => {
  const active = new ActiveClients();
  let open: { heardIn: number }[] = [];
  for (let now = 1000; now < 1100; now += 1) {
    for (const client of open) active.gone(client, now);
    open = [{ heardIn: NEVER }, { heardIn: NEVER }, { heardIn: NEVER }];
    for (const client of open) active.heard(client, now);
    assert.equal(active.count(now), 3, `at ${now}`);
  }
});

test('the first client of a process counts once, however early it comes', () => {
  const active = new ActiveClients();
  active.heard({ heardIn: NEVER }, 3);
  assert.equal(active.count(4), 1);
});

test('who was silent for long before the connection ended is not counted off those that are busy', () => {
  const active = new ActiveClients();
  const [silent, busy] = [{ heardIn: NEVER }, { heardIn: NEVER }];
  active.heard(silent, 1000);
  active.heard(busy, 1100);
  active.gone(silent, 1101);
  assert.equal(active.count(1101), 1);
});
