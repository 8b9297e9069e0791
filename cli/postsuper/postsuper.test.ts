import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunningQueue, runQueue } from '../../test/support/commands.ts';
import { main } from './main.ts';

async function withMessages(): Promise<RunningQueue> {
  const t = await runQueue();
  await t.queue.add({ recipients: [{ address: 'a@example.org' }] });
  await t.queue.add({ recipients: [{ address: 'b@example.org', deferred: 'x' }] });
  await t.queue.add({ recipients: [{ address: 'c@example.org' }], hold: true });
  await t.queue.add({ recipients: [{ address: 'd@example.org', deferred: 'x' }] });
  return t;
}

async function left(t: RunningQueue): Promise<number[]> {
  const { rows } = await t.queue.database.pool.query<{ sequence: string }>('select sequence from message order by 1');
  return rows.map(({ sequence }) => Number(sequence));
}

const CASES: readonly { argv: string[]; stdin?: string; left: number[]; stderr: string }[] = [
  {
    argv: ['-d', '4Test00002zABC'],
    left: [1, 3, 4],
    stderr: 'postsuper: 4Test00002zABC: removed\npostsuper: Deleted: 1 message\n',
  },
  { argv: ['-d', 'NOSUCH'], left: [1, 2, 3, 4], stderr: 'postsuper: Deleted: 0 messages\n' },
  {
    argv: ['-d', '../x'],
    left: [1, 2, 3, 4],
    stderr: 'postsuper: warning: invalid mail queue id: ../x\npostsuper: Deleted: 0 messages\n',
  },
  {
    argv: ['-d', '-'],
    stdin: '4Test00001zABC\n\n  4Test00004zABC  more words\nNOSUCH\n',
    left: [2, 3],
    stderr: 'postsuper: Deleted: 2 messages\n',
  },
  { argv: ['-d', 'ALL'], left: [], stderr: 'postsuper: Deleted: 4 messages\n' },
  { argv: ['-d', 'ALL', 'deferred'], left: [1, 3], stderr: 'postsuper: Deleted: 2 messages\n' },
  { argv: ['-d', 'ALL', 'hold', 'active'], left: [2, 4], stderr: 'postsuper: Deleted: 2 messages\n' },
  { argv: ['-d', '4Test00002zABC', 'hold'], left: [1, 2, 3, 4], stderr: 'postsuper: Deleted: 0 messages\n' },
  { argv: [], left: [1, 2, 3, 4], stderr: '' },
];
for (const { argv, stdin, left: expected, stderr } of CASES) {
  test(`postsuper ${argv.join(' ')}`, async () => {
    await using t = await withMessages();
    assert.deepEqual(await t.run(main, argv, stdin), { status: 0, stdout: '', stderr });
    assert.deepEqual(await left(t), expected);
  });
}

async function held(t: RunningQueue): Promise<number[]> {
  const { rows } = await t.queue.database.pool.query<{ sequence: string }>(
    'select sequence from message where hold order by 1',
  );
  return rows.map(({ sequence }) => Number(sequence));
}

/** The third message is on hold, the second and the fourth are deferred. */
const HOLDS: readonly { argv: string[]; stdin?: string; held: number[]; stderr: string }[] = [
  {
    argv: ['-h', '4Test00001zABC'],
    held: [1, 3],
    stderr: 'postsuper: 4Test00001zABC: placed on hold\npostsuper: Placed on hold: 1 message\n',
  },
  { argv: ['-h', '4Test00003zABC'], held: [3], stderr: 'postsuper: Placed on hold: 0 messages\n' },
  { argv: ['-h', 'ALL'], held: [1, 2, 3, 4], stderr: 'postsuper: Placed on hold: 3 messages\n' },
  { argv: ['-h', 'ALL', 'deferred'], held: [2, 3, 4], stderr: 'postsuper: Placed on hold: 2 messages\n' },
  {
    argv: ['-h', '-'],
    stdin: '4Test00002zABC\n4Test00004zABC\n',
    held: [2, 3, 4],
    stderr: 'postsuper: Placed on hold: 2 messages\n',
  },
  {
    argv: ['-H', '4Test00003zABC'],
    held: [],
    stderr: 'postsuper: 4Test00003zABC: released from hold\npostsuper: Released from hold: 1 message\n',
  },
  { argv: ['-H', '4Test00001zABC'], held: [3], stderr: 'postsuper: Released from hold: 0 messages\n' },
  { argv: ['-H', 'ALL'], held: [], stderr: 'postsuper: Released from hold: 1 message\n' },
  {
    argv: ['-h', '4Test00001zABC', '-H', '4Test00003zABC', '-d', '4Test00002zABC'],
    held: [1],
    stderr:
      'postsuper: 4Test00001zABC: placed on hold\npostsuper: 4Test00003zABC: released from hold\npostsuper: 4Test00002zABC: removed\n' +
      'postsuper: Placed on hold: 1 message\npostsuper: Released from hold: 1 message\npostsuper: Deleted: 1 message\n',
  },
];
for (const { argv, stdin, held: expected, stderr } of HOLDS) {
  test(`postsuper ${argv.join(' ')}`, async () => {
    await using t = await withMessages();
    assert.deepEqual(await t.run(main, argv, stdin), { status: 0, stdout: '', stderr });
    assert.deepEqual(await held(t), expected);
  });
}

async function expired(t: RunningQueue): Promise<number[]> {
  const { rows } = await t.queue.database.pool.query<{ sequence: string }>(
    'select sequence from message where forced_expire order by 1',
  );
  return rows.map(({ sequence }) => Number(sequence));
}

const EXPIRATIONS: readonly { argv: string[]; expired: number[]; held: number[]; stderr: string }[] = [
  {
    argv: ['-e', '4Test00003zABC'],
    expired: [3],
    held: [3],
    stderr: 'postsuper: 4Test00003zABC: expired\npostsuper: Force-expired: 1 message\n',
  },
  {
    argv: ['-f', '4Test00003zABC'],
    expired: [3],
    held: [],
    stderr:
      'postsuper: 4Test00003zABC: expired\npostsuper: 4Test00003zABC: released from hold\n' +
      'postsuper: Force-expired: 1 message\npostsuper: Released from hold: 1 message\n',
  },
  {
    argv: ['-f', '4Test00002zABC'],
    expired: [2],
    held: [3],
    stderr:
      'postsuper: 4Test00002zABC: expired\npostsuper: Force-expired: 1 message\npostsuper: Released from hold: 0 messages\n',
  },
  {
    argv: ['-e', 'ALL', '-f', 'ALL'],
    expired: [1, 2, 3, 4],
    held: [],
    stderr: 'postsuper: Force-expired: 4 messages\npostsuper: Released from hold: 1 message\n',
  },
  {
    argv: ['-e', 'ALL', 'deferred'],
    expired: [2, 4],
    held: [3],
    stderr: 'postsuper: Force-expired: 2 messages\n',
  },
  { argv: ['-e', 'NOSUCH'], expired: [], held: [3], stderr: 'postsuper: Force-expired: 0 messages\n' },
];
for (const { argv, expired: marked, held: stillHeld, stderr } of EXPIRATIONS) {
  test(`postsuper ${argv.join(' ')}`, async () => {
    await using t = await withMessages();
    assert.deepEqual(await t.run(main, argv), { status: 0, stdout: '', stderr });
    assert.deepEqual([await expired(t), await held(t)], [marked, stillHeld]);
  });
}

test('all that is requeued goes to cleanup once, and leaves the queue', async () => {
  await using t = await withMessages();
  const { status, stderr } = await t.run(main, ['-r', 'ALL']);
  assert.deepEqual([status, stderr], [0, 'postsuper: Requeued: 4 messages\n']);
  assert.deepEqual(await left(t), []);
  assert.deepEqual(
    t.submitted.map(({ recipients }) => recipients.map(({ address }) => address)),
    [['a@example.org'], ['b@example.org'], ['c@example.org'], ['d@example.org']],
  );
});

const WRONG: readonly [string[], RegExp][] = [
  [['-d'], /^postsuper: option requires an argument -- 'd'\npostsuper: fatal: usage: postsuper /],
  [['-d', 'ALL', 'nosuchdir'], /^postsuper: fatal: invalid directory name: nosuchdir\n$/],
  [['-e'], /^postsuper: option requires an argument -- 'e'\npostsuper: fatal: usage: postsuper /],
  [['-h', 'ALL', 'x'], /^postsuper: fatal: invalid directory name: x\n$/],
];
for (const [argv, stderr] of WRONG) {
  test(`a wrong command line: postsuper ${argv.join(' ')}`, async () => {
    await using t = await withMessages();
    const result = await t.run(main, argv);
    assert.equal(result.status, 1);
    assert.match(result.stderr, stderr);
    assert.equal((await left(t)).length, 4);
  });
}

test('a mail system that is down', async () => {
  await using t = await runQueue();
  await t.stop();
  const { status, stderr } = await t.run(main, ['-d', 'ALL']);
  assert.equal(status, 69);
  assert.match(stderr, /^postsuper: fatal: mail system is down \(.*\)\n$/);
});
