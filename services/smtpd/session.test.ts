import assert from 'node:assert/strict';
import test from 'node:test';
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
