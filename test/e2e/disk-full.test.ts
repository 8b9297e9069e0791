/**
 * A disk that fills up: SMTP says 452 before any content is read, what is in the queue goes out and makes room, and then
 * mail is taken again. The state of the instance lies on a small filesystem of its own.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePorts } from '../faults/ports.ts';
import { until } from '../support/until.ts';
import { converse, type NextHop, ROOT, startInstance, startNextHop, type TestInstance } from './instance.ts';

const MEBIBYTE = 1024 * 1024;
const DISK = 320 * MEBIBYTE;

const directory = mkdtempSync(join(tmpdir(), 'postfleet-disk-'));
const state = join(directory, 'var');
const ballast = join(state, 'ballast');
mkdirSync(state);
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', state]);
const skip = mounted.status === 0 ? false : 'a filesystem cannot be mounted here';

let hop: NextHop;
let instance: TestInstance;

before(async () => {
  if (skip !== false) return;
  hop = await startNextHop();
  instance = await startInstance({
    directory,
    mainCf: `
myhostname = mail.example.org
mydestination =
relay_domains = example.com
relayhost = [127.0.0.1]:${hop.port}
smtp_tls_security_level = none
message_size_limit = 10240000
postfleet_log_grace = 1s
minimal_backoff_time = 3600s
maximal_backoff_time = 3600s`,
  });
});
after(async () => {
  await instance?.[Symbol.asyncDispose]();
  await hop?.[Symbol.asyncDispose]();
  if (skip === false) spawnSync('umount', [state]);
  rmSync(directory, { recursive: true, force: true });
});

const freeBytes = (): number => {
  const { bavail, bsize } = statfsSync(state);
  return bavail * bsize;
};

const BODY = Buffer.alloc(4 * MEBIBYTE, `${'y'.repeat(70)}\r\n`);

/** The reply to MAIL, or to the end of the content where that was taken. */
async function send(subject: string, body: Buffer = BODY): Promise<string> {
  const content = Buffer.concat([Buffer.from(`Subject: ${subject}\r\n\r\n`), body, Buffer.from('\r\n.\r\n')]);
  const replies = await converse(instance.port, ['EHLO test\r\n', 'MAIL FROM:<a@example.org>\r\n']);
  if (!(replies[2] ?? '').startsWith('250')) return replies[2] ?? '';
  return (
    await converse(instance.port, [
      'EHLO test\r\n',
      'MAIL FROM:<a@example.org>\r\n',
      'RCPT TO:<b@example.com>\r\n',
      'DATA\r\n',
      content,
    ])
  ).at(-1)!;
}

test('an instance whose output goes to a full disk comes up, takes mail and ends in order', async (context) => {
  if (!existsSync('/dev/full')) {
    context.skip('there is no /dev/full here');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'postfleet-mute-'));
  const port = await freePorts(40);
  const words = ['start', '--var', folder, '--port', String(port), '--config', join(ROOT, 'etc/postfleet')];
  const full = openSync('/dev/full', 'w');
  const program = join(ROOT, process.env.POSTFLEET_TEST_PROGRAM ?? 'bin/postfleet.ts');
  const child = spawn(process.execPath, [program, ...words], { stdio: ['ignore', full, full] });
  closeSync(full);
  const exited = once(child, 'exit');
  try {
    await until('the instance', () => existsSync(join(folder, 'run/instance.json')) || child.exitCode !== null);
    const replies = await converse(port, [
      'EHLO test\r\n',
      'MAIL FROM:<a@example.org>\r\n',
      `RCPT TO:<${userInfo().username}@localhost>\r\n`,
      'DATA\r\n',
      'Subject: unseen\r\n\r\nx\r\n.\r\n',
    ]);
    assert.match(replies.at(-1)!, /^250 /);
  } finally {
    child.kill('SIGTERM');
    const status = await exited;
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(status, [0, null]);
  }
});

test('mail that nobody takes fills the disk up to a reserve: 452 before content; its delivery makes room again', {
  skip,
}, async () => {
  hop.recipientReply = 450;
  const kept: string[] = [];
  const refusal = await until(
    'a refusal for want of room',
    async () => {
      const subject = `no ${kept.length} of many`;
      const reply = await send(subject);
      if (!reply.startsWith('250')) return reply;
      kept.push(subject);
      return false;
    },
    120,
  );
  assert.equal(refusal, '452 4.3.1 Insufficient system storage');
  assert.ok(kept.length > 5, `${kept.length} messages`);
  assert.ok(freeBytes() > 2 * MEBIBYTE, `a reserve is left: ${freeBytes()}`);
  await instance.logged(/warning: not enough free space in mail queue/);

  // A size that is announced is refused as well, and a client that says nothing of it learns it at MAIL.
  const announced = await converse(instance.port, ['EHLO test\r\n', 'MAIL FROM:<a@example.org> SIZE=1000\r\n']);
  assert.match(announced[2]!, /^452 4\.3\.1 /);

  hop.recipientReply = 250;
  await instance.command('postqueue', ['-f']);
  for (const subject of kept) await hop.message(`Subject: ${subject}\r\n`, 120);
  await until('mail is taken again', async () => (await send('room again')).startsWith('250'), 60);
  await hop.message('Subject: room again');
  for (const subject of kept)
    assert.equal(hop.received.filter(({ content }) => content.includes(`Subject: ${subject}\r\n`)).length, 1, subject);
});

test('somebody else fills the disk to the last octet: nothing is lost, and mail flows when there is room again', {
  skip,
}, async () => {
  hop.recipientReply = 450;
  assert.match(await send('before the flood', Buffer.from('small')), /^250 /);
  writeFileSync(ballast, '');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=1M', 'conv=notrunc']);
  assert.equal(freeBytes(), 0);
  await until('mail is refused', async () => (await send('flood', Buffer.from('small'))).startsWith('452 4.3.1 '));
  // A session that goes on costs nothing, and the queue can still be told what to do when there is room.
  const [banner, helo] = await converse(instance.port, ['EHLO test\r\n']);
  assert.match(`${banner}\n${helo}`, /^220 [\s\S]*\n250/);
  rmSync(ballast);
  hop.recipientReply = 250;
  await until(
    'mail is taken again',
    async () => (await send('after the flood', Buffer.from('small'))).startsWith('250'),
    90,
  );
  await hop.message('Subject: after the flood', 90);
  await until('the queue can be flushed', async () => {
    const text = await instance.command('postqueue', ['-f'], { statuses: [0, 69] });
    return text === '';
  });
  await hop.message('Subject: before the flood', 90);
});

test('queue_minfree is what must be free before mail is taken', { skip }, async () => {
  await instance.stop();
  const free = freeBytes();
  instance = await startInstance({
    directory,
    mainCf: `
mydestination =
relay_domains = example.com
relayhost = [127.0.0.1]:${hop.port}
smtp_tls_security_level = none
message_size_limit = 100000
queue_minfree = ${free - 30 * MEBIBYTE}`,
  });
  assert.match(await send('fits', Buffer.from('x')), /^250 /);
  writeFileSync(ballast, Buffer.alloc(60 * MEBIBYTE));
  await until('mail is refused', async () => (await send('fits not', Buffer.from('x'))).startsWith('452 4.3.1 '));
  rmSync(ballast);
  await until('mail is taken again', async () => (await send('fits again', Buffer.from('x'))).startsWith('250'));
});

test('a client that is told so early does not send its content', { skip }, async () => {
  writeFileSync(ballast, Buffer.alloc(60 * MEBIBYTE));
  await until('mail is refused', async () => (await send('x', Buffer.from('x'))).startsWith('452 4.3.1 '));
  // Pipelined as RFC 2920 allows: MAIL, RCPT and DATA in one piece, and no 354 comes.
  const socket = connect({ host: '127.0.0.1', port: instance.port });
  let text = '';
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
  await until('the greeting', () => text.includes('220 '));
  socket.write('EHLO test\r\n');
  await until('EHLO', () => text.includes('250 '));
  socket.write('MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n');
  await until('three replies', () => /452 4\.3\.1 .*\r\n503 5\.5\.1 .*\r\n503 5\.5\.1 .*\r\n$/.test(text));
  socket.destroy();
  assert.doesNotMatch(text, /^354/m);
  rmSync(ballast);
});
