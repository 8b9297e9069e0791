import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { type RunningQueue, runQueue } from '../../test/support/commands.ts';
import { main as mailq } from '../mailq/main.ts';
import { main } from './main.ts';

process.env.TZ = 'UTC';

async function withMessages(mainCf = ''): Promise<RunningQueue> {
  const t = await runQueue(mainCf);
  const recipients = [
    { address: 'b@later.example', deferred: 'mailbox full' },
    { address: 'd d@late.example', deferred: `host mx said: ${'x'.repeat(70)}` },
  ];
  await t.queue.add({ recipients, content: Buffer.alloc(57_745, 'x') });
  await t.queue.add({ recipients: [{ address: 'a@example.org' }], envelope: { sender: '' } });
  await t.queue.add({ recipients: [{ address: 'h@example.org' }], hold: true });
  return t;
}

async function waiting(t: RunningQueue): Promise<number> {
  const result = await t.queue.database.pool.query(
    "select 1 from recipient where next_attempt > now() and next_attempt < 'infinity'",
  );
  return result.rowCount ?? 0;
}

test('-p of an empty queue', async () => {
  await using t = await runQueue();
  assert.deepEqual(await t.run(main, ['-p']), { status: 0, stdout: 'Mail queue is empty\n', stderr: '' });
  assert.deepEqual(await t.run(main, ['-j']), { status: 0, stdout: '', stderr: '' });
});

const LISTING = `----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------
4Test00001zABC       57745 Sun Nov 22 14:07:36 sender@example.com
                                                                (mailbox full)
                                               b@later.example
(host mx said: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx)
                                               "d d"@late.example

4Test00002zABC*         21 Sun Nov 22 14:07:36 MAILER-DAEMON
                                               a@example.org

4Test00003zABC!         21 Sun Nov 22 14:07:36 sender@example.com
                                               h@example.org

-- 56 Kbytes in 3 Requests.
`;

test('-p and mailq show columns with the reason above each recipient', async () => {
  await using t = await withMessages();
  assert.deepEqual(await t.run(main, ['-p']), { status: 0, stdout: LISTING, stderr: '' });
  assert.equal((await t.run(mailq, [])).stdout, LISTING);
  assert.equal((await t.run(mailq, ['-v', '-C', t.directory])).stdout, LISTING);
});

test('one message is "1 Request"', async () => {
  await using t = await runQueue();
  await t.queue.add({ recipients: [{ address: 'a@example.org' }] });
  assert.match((await t.run(main, ['-p'])).stdout, /\n\n-- 0 Kbytes in 1 Request\.\n$/);
});

test('-j prints one object a line, also of a message with more recipients than one page holds', async () => {
  await using t = await withMessages();
  const many = Array.from({ length: 1001 }, (_, index) => ({ address: `r${index}@example.org` }));
  await t.queue.add({ recipients: many });
  const { stdout } = await t.run(main, ['-j']);
  const lines = stdout.trimEnd().split('\n');
  assert.equal(
    lines[1],
    '{"queue_name": "active", "queue_id": "4Test00002zABC", "arrival_time": 1795356456, "message_size": 21, "forced_expire": false, "sender": "MAILER-DAEMON", "recipients": [{"address": "a@example.org"}]}',
  );
  const objects = lines.map((line) => JSON.parse(line) as { recipients: { address: string; delay_reason?: string }[] });
  assert.deepEqual(objects[0]!.recipients[0], { address: 'b@later.example', delay_reason: 'mailbox full' });
  assert.deepEqual(
    objects.map(({ recipients }) => recipients.length),
    [2, 1, 1, 1001],
  );
});

test('what is forced to expire is marked, on hold or not', async () => {
  await using t = await withMessages();
  await t.queue.database.pool.query('update message set forced_expire = true where sequence <> 2');
  const { stdout } = await t.run(main, ['-p']);
  assert.deepEqual(stdout.match(/^4Test\S*/gm), ['4Test00001zABC#', '4Test00002zABC*', '4Test00003zABC!#']);
  const { stdout: json } = await t.run(main, ['-j']);
  const objects = json.trimEnd().split('\n');
  assert.deepEqual(
    objects.map((line) => (JSON.parse(line) as { forced_expire: boolean }).forced_expire),
    [true, false, true],
  );
});

test('-p of a message with very many recipients lists the message once', async () => {
  await using t = await runQueue();
  const many = Array.from({ length: 1001 }, (_, index) => ({ address: `r${index}@example.org` }));
  await t.queue.add({ recipients: many });
  const { stdout } = await t.run(main, ['-p']);
  assert.equal(stdout.match(/4Test/g)!.length, 1);
  assert.equal(stdout.match(/r\d+@/g)!.length, 1001);
});

test('-f makes all deferred mail due, -i that of one message', async () => {
  await using t = await withMessages();
  assert.deepEqual(await t.run(main, ['-i', '4Test00002zABC']), { status: 0, stdout: '', stderr: '' });
  assert.equal(await waiting(t), 2);
  assert.deepEqual(await t.run(main, ['-f']), { status: 0, stdout: '', stderr: '' });
  assert.equal(await waiting(t), 0);
});

test('-s makes due what waits for a site of fast_flush_domains, and refuses others', async () => {
  await using t = await withMessages('fast_flush_domains = late.example');
  assert.deepEqual(await t.run(main, ['-s', 'other.example']), {
    status: 69,
    stdout: '',
    stderr: 'postqueue: fatal: Flush service is not configured for destination "other.example"\n',
  });
  assert.equal(await waiting(t), 2);
  assert.equal((await t.run(main, ['-s', 'late.example'])).status, 0);
  assert.equal(await waiting(t), 1);
});

test('a mail system that is down is EX_UNAVAILABLE and one line', async () => {
  await using t = await runQueue();
  await t.stop();
  for (const option of ['-p', '-j']) {
    const { status, stderr, stdout } = await t.run(main, [option]);
    assert.deepEqual([status, stdout], [69, '']);
    assert.match(stderr, /^postqueue: fatal: Queue report unavailable - mail system is down \(.*\)\n$/);
  }
  const { status, stderr } = await t.run(main, ['-f']);
  assert.equal(status, 69);
  assert.match(stderr, /^postqueue: fatal: Cannot flush mail queue - mail system is down \(.*\)\n$/);
});

test('a queue whose database is away is EX_UNAVAILABLE and one line, and the server says nothing of errors of its own', async () => {
  await using t = await runQueue();
  const warnings: string[] = [];
  const hear = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', hear);
  await t.queue.database.pool.end();
  for (const option of ['-p', '-j', '-f']) {
    const { status, stderr, stdout } = await t.run(main, [option]);
    assert.deepEqual([status, stdout], [69, '']);
    assert.match(stderr, /^postqueue: fatal: .* - mail system is down \(.*\)\n$/);
  }
  process.off('warning', hear);
  assert.deepEqual(warnings, []);
});

const WRONG: readonly [string[], number, RegExp][] = [
  [[], 69, /^postqueue: fatal: usage: postqueue -f \|/],
  [['-p', '-f'], 69, /^postqueue: fatal: usage/],
  [['-p', 'x'], 69, /^postqueue: fatal: usage/],
  [['-x'], 69, /^postqueue: invalid option -- 'x'\npostqueue: fatal: usage/],
  [['-i'], 69, /^postqueue: option requires an argument -- 'i'\n/],
  [['-i', '../x'], 64, /^postqueue: fatal: Cannot flush queue ID - invalid name: "..\/x"\n$/],
];
for (const [argv, status, stderr] of WRONG) {
  test(`a wrong command line: postqueue ${argv.join(' ')}`, async () => {
    await using t = await runQueue();
    const result = await t.run(main, argv);
    assert.equal(result.status, status);
    assert.match(result.stderr, stderr);
  });
}

test('a reader that goes away ends the listing without an error', async () => {
  await using t = await withMessages();
  const stdout = new PassThrough();
  stdout.end();
  const stderr = new PassThrough();
  const io = { stdin: new PassThrough(), stdout, stderr, environment: { MAIL_CONFIG: t.directory } };
  assert.equal(await main(['-p'], io), 0);
  assert.equal(stderr.read(), null);
});
