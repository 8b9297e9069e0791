import assert from 'node:assert/strict';
import test from 'node:test';
import type { CountRequest } from '../../lib/clients/protocols.ts';
import type { Connection, ConnectionEvents } from '../../lib/server/connection.ts';
import { testContext } from '../../test/support/context.ts';
import { SmtpdContext } from './context.ts';
import { Session } from './session.ts';
import { startSmtpd, TestRewrite } from './smtpd-for-tests.ts';

test('a message goes from EHLO to "queued as", and its lines end with LF', async () => {
  await using smtpd = await startSmtpd();
  using client = await smtpd.client();
  const ehlo = await client.say('EHLO client.example.com');
  for (const keyword of [
    'PIPELINING',
    'SIZE 10240000',
    'VRFY',
    'ETRN',
    'ENHANCEDSTATUSCODES',
    '8BITMIME',
    'DSN',
    'SMTPUTF8',
    'CHUNKING',
  ]) {
    assert.match(ehlo, new RegExp(`^250[- ]${keyword}$`, 'm'));
  }
  assert.equal(await client.say('MAIL FROM:<sender@example.com>'), '250 2.1.0 Ok');
  assert.equal(await client.say('RCPT TO:<user@example.org>'), '250 2.1.5 Ok');
  assert.equal(await client.say('DATA'), '354 End data with <CR><LF>.<CR><LF>');
  const reply = await client.say('Subject: a\r\n\r\n..dot\r\nline\r\n.');
  const queueId = /^250 2\.0\.0 Ok: queued as (\S+)$/.exec(reply)?.[1];
  assert.ok(queueId);
  assert.equal(await client.say('QUIT'), '221 2.0.0 Bye');
  assert.equal(smtpd.cleanup.submissions.length, 1);
  const { request, content } = smtpd.cleanup.submissions[0]!;
  assert.equal(content.toString(), 'Subject: a\n\n.dot\nline\n');
  assert.equal(request.envelope?.sender, 'sender@example.com');
  assert.equal(request.envelope?.queueId, queueId);
  assert.deepEqual(
    request.envelope?.recipients.map(({ address }) => address),
    ['user@example.org'],
  );
  assert.equal(request.envelope?.client?.heloName, 'client.example.com');
  await smtpd.context.logged('disconnect from localhost[127.0.0.1] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5');
  assert.ok(smtpd.context.lines.includes(`${queueId}: client=localhost[127.0.0.1]`));
});

test('commands of a group that comes in two pieces stay apart while one of them is looked up', async () => {
  const resolved = Promise.withResolvers<void>();
  const rewrite = new TestRewrite();
  const resolve = rewrite.resolve.bind(rewrite);
  rewrite.resolve = (requests) => resolved.promise.then(() => resolve(requests));
  await using smtpd = await startSmtpd({ clients: { rewrite: () => rewrite } });
  using client = await smtpd.client();
  using other = await smtpd.client();
  await client.say('EHLO client.example.com');
  client.send('MAIL FROM:<a@example.com>\r\nRCPT TO:<u1@example.org>\r\nRCPT TO:<u2@example.org>\r\n');
  // What one client sent has been read when another has its answer.
  await other.say('NOOP');
  client.send('RCPT TO:<u3@example.org>\r\nRCPT TO:<u4@example.org>\r\nDATA\r\n');
  await other.say('NOOP');
  resolved.resolve();
  assert.equal(await client.reply(), '250 2.1.0 Ok');
  for (let recipient = 1; recipient <= 4; recipient++) assert.equal(await client.reply(), '250 2.1.5 Ok');
  assert.match(await client.reply(), /^354 /);
  assert.match(await client.say('text\r\n.'), /^250 /);
  assert.equal(smtpd.cleanup.submissions[0]?.request.envelope?.recipients.length, 4);
});

/** A connection whose other side is the test. */
class TestConnection implements Connection {
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 1025;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 25;
  writableLength = 0;
  written = '';
  events: ConnectionEvents | undefined;
  /** The client does not read: what is written waits. */
  stuck = false;
  wait(): void {}
  serve(events: ConnectionEvents): void {
    this.events = events;
  }
  pause(): void {}
  resume(): void {}
  write(data: string | Buffer, done?: () => void): void {
    this.written += data.toString();
    if (!this.stuck) done?.();
  }
  destroy(): void {
    this.events?.closed();
  }
  receive(text: string): void {
    this.events?.data(Buffer.from(text));
  }
}

test('a client that leaves while its name is looked up is not counted for good', async () => {
  const events: string[] = [];
  const anvil = {
    count: async (requests: CountRequest[]) => {
      for (const { event } of requests) events.push(event);
      return requests.map(() => ({ count: 1, rate: 1 }));
    },
  };
  await using context = await testContext({
    name: 'smtpd',
    clients: { anvil: () => anvil, rewrite: () => new TestRewrite() },
  });
  const name = Promise.withResolvers<string[]>();
  const hosts = { reverse: () => name.promise, addresses: async () => ['192.0.2.1'] };
  await using smtpd = await SmtpdContext.open(context.service, { hosts });
  for (const leaves of [true, false]) {
    const connection = new TestConnection();
    const served = Session.serve(smtpd, smtpd.settings, connection);
    if (leaves) connection.destroy();
    name.resolve(['client.example.com']);
    if (!leaves) {
      await context.logged('connect from client.example.com[192.0.2.1]');
      connection.receive('QUIT\r\n');
    }
    await served;
  }
  assert.deepEqual(events, ['connect', 'disconnect']);
  assert.equal(context.lines.filter((line) => line.startsWith('connect from')).length, 1);
});

test('a host that may speak for others is not counted', async () => {
  const events: string[] = [];
  const anvil = {
    count: async (requests: CountRequest[]) => {
      for (const { event, ident } of requests) events.push(`${event} ${ident}`);
      return requests.map(() => ({ count: 1, rate: 1 }));
    },
  };
  await using smtpd = await startSmtpd({
    mainCf: 'smtpd_authorized_xclient_hosts = 127.0.0.1\nsmtpd_client_event_limit_exceptions =\n',
    clients: { anvil: () => anvil },
  });
  using client = await smtpd.client();
  await client.say('XCLIENT ADDR=192.0.2.7 NAME=other.example.com');
  await client.say('QUIT');
  await smtpd.context.logged('disconnect from other.example.com[192.0.2.7]');
  assert.deepEqual(events, []);
});

for (const command of ['DATA', 'BDAT 3']) {
  test(`a client that leaves while ${command} is judged is no error of ours`, async () => {
    const resolved = Promise.withResolvers<void>();
    const rewrite = new TestRewrite();
    const resolve = rewrite.resolve.bind(rewrite);
    await using smtpd = await startSmtpd({
      mainCf: 'smtpd_data_restrictions = check_recipient_access inline:{x=OK}, reject_unlisted_sender\n',
      clients: { rewrite: () => rewrite },
    });
    const client = await smtpd.client();
    await client.envelope('unheard@example.org');
    rewrite.resolve = (requests) => resolved.promise.then(() => resolve(requests));
    client.send(`${command}\r\n`);
    using other = await smtpd.client();
    await other.say('NOOP');
    client.socket.resetAndDestroy();
    await smtpd.context.logged('disconnect from');
    resolved.resolve();
    await other.say('NOOP');
    assert.deepEqual(smtpd.cleanup.submissions, []);
  });
}

test('what a client sends behind the last reply is dropped while that reply waits', async () => {
  await using context = await testContext({
    name: 'smtpd',
    mainCf: 'smtpd_peername_lookup = no\nsmtpd_client_event_limit_exceptions = static:all\n',
    clients: { rewrite: () => new TestRewrite() },
  });
  await using smtpd = await SmtpdContext.open(context.service);
  const connection = new TestConnection();
  const ended = Session.serve(smtpd, smtpd.settings, connection);
  const session = connection.events;
  assert.ok(session instanceof Session);
  await context.logged('connect from');
  connection.stuck = true;
  connection.receive('QUIT\r\n');
  for (let at = 0; at < 10; at++) connection.receive('x'.repeat(64 * 1024));
  assert.equal(session.inputWaiting, 0);
  connection.destroy();
  await ended;
});
