/** Large messages, long lines and a store that is away, against a whole instance. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../support/until.ts';
import { converse, type NextHop, residents, startInstance, startNextHop, type TestInstance } from './instance.ts';

let hop: NextHop;
let instance: TestInstance;

before(async () => {
  hop = await startNextHop();
  instance = await startInstance({
    mainCf: `
myhostname = mail.example.org
mydestination =
relay_domains = example.com
relayhost = [127.0.0.1]:${hop.port}
message_size_limit = 80000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtp_tls_security_level = none`,
  });
});
after(async () => {
  await instance?.[Symbol.asyncDispose]();
  await hop?.[Symbol.asyncDispose]();
});

const envelope = [
  'EHLO test\r\n',
  'MAIL FROM:<a@example.org> BODY=8BITMIME\r\n',
  'RCPT TO:<b@example.com>\r\n',
  'DATA\r\n',
];

test('a message of 50 MB passes byte for byte and adds at most 100 MB to any process', async () => {
  const line = Buffer.from(Array.from({ length: 70 }, (_, at) => (at % 2 === 0 ? 0xc3 : 0xa0 + (at % 30))));
  const block = Buffer.concat(Array.from({ length: 1000 }, () => Buffer.concat([line, Buffer.from('\r\n')])));
  const blocks = Math.ceil(50_000_000 / block.length);
  const sent = createHash('sha256');
  const before = residents(instance.pid);
  const most = new Map<number, number>();
  const watcher = setInterval(() => {
    for (const [pid, size] of residents(instance.pid)) most.set(pid, Math.max(most.get(pid) ?? 0, size));
  }, 200);
  // The next hop of the test holds the message itself, but in the test's process.
  const socket = connect({ host: '127.0.0.1', port: instance.port });
  let replies = '';
  socket.setEncoding('latin1').on('data', (text: string) => (replies += text));
  const replied = (count: number): Promise<boolean | undefined> =>
    until(`${count} replies`, () => (replies.match(/^\d{3} /gm) ?? []).length >= count, 120);
  await replied(1);
  for (const [at, command] of envelope.entries()) {
    socket.write(command);
    await replied(at + 2);
  }
  socket.write('Subject: large\r\n\r\n');
  for (let at = 0; at < blocks; at++) {
    sent.update(block);
    if (!socket.write(block)) await new Promise((resolve) => socket.once('drain', resolve));
  }
  socket.write('.\r\nQUIT\r\n');
  await replied(6);
  assert.match(replies, /250 2\.0\.0 Ok: queued as/);
  socket.destroy();
  const { content } = await hop.message('Subject: large', 120);
  clearInterval(watcher);
  const body = content.subarray(content.indexOf('\r\n\r\n') + 4);
  assert.equal(createHash('sha256').update(body).digest('hex'), sent.digest('hex'));
  for (const [pid, size] of most)
    assert.ok(size - (before.get(pid) ?? 0) <= 100, `process ${pid} grew by ${size - (before.get(pid) ?? 0)} MB`);
});

test('a line of 900 kB is passed on, cut as smtp_line_length_limit says, with nothing else changed', async () => {
  const long = 'x'.repeat(900_000);
  const replies = await converse(instance.port, [
    ...envelope,
    `Subject: long line\r\n\r\n${long}\r\n.\r\n`,
    'QUIT\r\n',
  ]);
  assert.match(replies[5] ?? '', /^250 2\.0\.0/);
  const { content } = await hop.message('Subject: long line');
  const lines = content
    .subarray(content.indexOf('\r\n\r\n') + 4)
    .toString('latin1')
    .split('\r\n');
  assert.ok(lines.every((text) => text.length <= 998));
  assert.equal(lines.map((text, at) => (at === 0 ? text : text.replace(/^ /, ''))).join(''), long);
});

test('while NATS is away nothing is answered with 250, and mail flows again when it is back', async () => {
  const pid = Number(readFileSync(join(instance.directory, 'var/run/nats.pid'), 'utf8'));
  process.kill(pid, 'SIGSTOP');
  try {
    const replies = await converse(instance.port, [...envelope, 'Subject: while away\r\n\r\nx\r\n.\r\n', 'QUIT\r\n']);
    assert.match(replies[5] ?? '', /^451 4\.3\.0/);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await until('mail is taken again', async () => {
    const replies = await converse(instance.port, [...envelope, 'Subject: back again\r\n\r\nx\r\n.\r\n', 'QUIT\r\n']);
    return /^250/.test(replies[5] ?? '');
  });
  await hop.message('Subject: back again');
});

test('while Postgres is away mail is kept, and goes out when it is back', async () => {
  const pid = Number(readFileSync(join(instance.directory, 'var/postgres/postmaster.pid'), 'utf8').split('\n')[0]);
  process.kill(pid, 'SIGKILL');
  const replies = await converse(instance.port, [
    ...envelope,
    'Subject: kept without Postgres\r\n\r\nx\r\n.\r\n',
    'QUIT\r\n',
  ]);
  assert.match(replies[5] ?? '', /^250 2\.0\.0/);
  await hop.message('Subject: kept without Postgres', 90);
});
