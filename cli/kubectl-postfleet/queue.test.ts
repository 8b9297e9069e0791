import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOW, runPlugin } from './cluster-for-tests.ts';
import type { QueueItem } from './queue-item.ts';

const seconds = NOW / 1000;

function item(id: string, changes: Partial<QueueItem> = {}): QueueItem {
  return {
    queue_name: 'deferred',
    queue_id: id,
    arrival_time: seconds - 7200,
    message_size: 1234,
    sender: 'sender@example.test',
    recipients: [{ address: 'a@one.test', delay_reason: 'connect to one.test: timed out' }, { address: 'b@two.test' }],
    ...changes,
  };
}

const ITEMS = [
  item('3fXkQ95pkXzjP1'),
  item('3fXkQ95pkXzjP2', { queue_name: 'active', sender: '', recipients: [{ address: 'c@ONE.test' }] }),
  item('3fXkQ95pkXzjP3', { sender: 'x@\u001b[31m.test', arrival_time: seconds - 30 }),
];
const answers = { 'postqueue -j': { stdout: ITEMS.map((each) => `${JSON.stringify(each)}\n`).join('') } };

const idsIn = (text: string): string[] => [...text.matchAll(/3fXkQ95pkXzjP\d/g)].map(([id]) => id);

test('messages are listed with the reason of their delay, and nothing of them moves the cursor', async () => {
  const { status, stdout } = await runPlugin(['queue'], { answers });
  assert.equal(status, 0);
  assert.equal(
    stdout,
    [
      'ID              QUEUE     AGE  SIZE  SENDER               RECIPIENTS     REASON',
      '3fXkQ95pkXzjP1  deferred  2h   1234  sender@example.test  a@one.test +1  connect to one.test: timed out',
      '3fXkQ95pkXzjP2  active    2h   1234  <>                   c@ONE.test',
      '3fXkQ95pkXzjP3  deferred  30s  1234  x@?[31m.test         a@one.test +1  connect to one.test: timed out',
      '',
    ].join('\n'),
  );
});

test('an empty queue is said to be empty', async () => {
  const { stdout } = await runPlugin(['queue'], { answers: { 'postqueue -j': { stdout: '' } } });
  assert.equal(stdout, 'Mail queue is empty\n');
});

const FILTERS: readonly { readonly argv: readonly string[]; readonly ids: readonly number[] }[] = [
  { argv: ['--queue', 'active'], ids: [2] },
  { argv: ['--sender', 'example.test'], ids: [1] },
  { argv: ['--sender', 'SENDER@example.test'], ids: [1] },
  { argv: ['--sender', ''], ids: [2] },
  { argv: ['--recipient', 'one.test'], ids: [1, 2, 3] },
  { argv: ['--recipient', 'b@two.test'], ids: [1, 3] },
  { argv: ['3fXkQ95pkXzjP3'], ids: [3] },
];
for (const { argv, ids } of FILTERS) {
  test(`queue ${argv.join(' ')} lists what fits`, async () => {
    const { stdout } = await runPlugin(['queue', '-j', ...argv], { answers });
    assert.deepEqual(
      idsIn(stdout),
      ids.map((number) => `3fXkQ95pkXzjP${number}`),
    );
  });
}

test('JSON is the object that postqueue printed, one a line', async () => {
  const { stdout } = await runPlugin(['queue', '-o', 'json', '--limit', '1'], { answers });
  assert.deepEqual(JSON.parse(stdout), ITEMS[0]);
});

test('what is beyond the limit is counted', async () => {
  const { stdout } = await runPlugin(['queue', '--limit', '1'], { answers });
  assert.match(stdout, /\n2 more; --limit 0 shows all\n$/);
  assert.deepEqual(idsIn((await runPlugin(['queue', '--limit', '0'], { answers })).stdout).length, 3);
});

test('destinations are counted whatever the case of their domain, most recipients first', async () => {
  const { stdout } = await runPlugin(['queue', '--by-destination'], { answers });
  assert.equal(
    stdout,
    [
      'DESTINATION  RECIPIENTS  DEFERRED  OLDEST  REASON',
      'one.test     3           2         2h      connect to one.test: timed out',
      'two.test     2           2         2h',
      '',
    ].join('\n'),
  );
});

test('a queue that cannot be asked is its status, and what was complained about', async () => {
  const complaint = 'postqueue: fatal: Queue report unavailable - mail system is down\n';
  const { status, stderr, stdout } = await runPlugin(['queue'], {
    answers: { 'postqueue -j': { stderr: complaint, status: 69 } },
  });
  assert.deepEqual({ status, stderr, stdout }, { status: 69, stderr: complaint, stdout: '' });
});

test('messages are deleted by ids on standard input of one command', async () => {
  const { commands } = await runPlugin(['delete', '3fXkQ95pkXzjP1', '3fXkQ95pkXzjP2']);
  assert.deepEqual(commands, [
    { pod: 'mail-showq-1', command: 'postsuper -d -', stdin: '3fXkQ95pkXzjP1\n3fXkQ95pkXzjP2\n' },
  ]);
  const piped = await runPlugin(['delete', '-'], { stdin: '3fXkQ95pkXzjP3\n' });
  assert.equal(piped.commands[0]?.stdin, '3fXkQ95pkXzjP3\n');
  assert.equal((await runPlugin(['delete', '--all', '--yes'])).commands[0]?.command, 'postsuper -d ALL');
});

test('one message, a site or all is flushed; the worst status is that of the command', async () => {
  assert.equal(
    (await runPlugin(['flush', '--site', 'example.test'])).commands[0]?.command,
    'postqueue -s example.test',
  );
  const { commands, status } = await runPlugin(['flush', '3fXkQ95pkXzjP1', '3fXkQ95pkXzjP2'], {
    answers: { 'postqueue -i 3fXkQ95pkXzjP1': { status: 69 } },
  });
  assert.deepEqual(
    commands.map(({ command }) => command),
    ['postqueue -i 3fXkQ95pkXzjP1', 'postqueue -i 3fXkQ95pkXzjP2'],
  );
  assert.equal(status, 69);
});
