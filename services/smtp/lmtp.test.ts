/** LMTP (RFC 2033), by TCP and over a UNIX-domain socket, and the flags of a master.cf entry. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf, temporaryDirectory } from '../../test/support/delivery.ts';
import { type Conversation, scriptedServer } from '../../test/support/scripted-server.ts';
import { lmtp } from './main.ts';

const content = Buffer.from('Subject: test\n\nhello\n');

/** Accepts each recipient and answers the end of data with these replies. */
function answering(...replies: string[]) {
  return async (conversation: Conversation) => {
    conversation.say('220 lmtp.example LMTP');
    await conversation.until('LHLO');
    conversation.say('250-lmtp.example\r\n250 PIPELINING');
    await conversation.until('MAIL');
    conversation.say('250 ok');
    for (const _ of replies) {
      await conversation.until('RCPT');
      conversation.say('250 ok');
    }
    await conversation.until('DATA');
    conversation.say('354 go');
    await conversation.content();
    for (const reply of replies) if (reply !== '') conversation.say(reply);
    if (!replies.includes('')) await conversation.serve();
  };
}

test('each recipient has an answer of its own at the end of data', async () => {
  await using server = await scriptedServer(answering('250 2.1.5 kept', '552 5.2.2 full', '451 4.3.0 later'));
  await using agent = await startAgent(lmtp, { mainCf: '' });
  const nexthop = `inet:127.0.0.1:${server.port}`;
  const reply = await agent.deliver({ nexthop, content }, 'a@x.example', 'b@x.example', 'c@x.example');
  assert.deepEqual(
    reply.recipients.map(({ status, notification }) => [status, notification!.status]),
    [
      [DeliveryStatus.SENT, '2.1.5'],
      [DeliveryStatus.BOUNCED, '5.2.2'],
      [DeliveryStatus.DEFERRED, '4.3.0'],
    ],
  );
});

test('when the connection is lost between the answers, only the rest is deferred', async () => {
  await using server = await scriptedServer(answering('250 2.1.5 kept', ''));
  await using agent = await startAgent(lmtp, { mainCf: '' });
  const reply = await agent.deliver(
    { nexthop: `inet:127.0.0.1:${server.port}`, content },
    'a@x.example',
    'b@x.example',
  );
  assert.deepEqual(
    reply.recipients.map(({ status }) => status),
    [DeliveryStatus.SENT, DeliveryStatus.DEFERRED],
  );
  assert.match(statusOf(reply)[1]!, /message may be sent more than once$/);
});

test('delivery over a UNIX-domain socket, relative to queue_directory', async () => {
  await using folder = await temporaryDirectory();
  await using server = await scriptedServer(answering('250 2.1.5 kept'), { path: join(folder.path, 'lmtp') });
  await using agent = await startAgent(lmtp, { mainCf: `queue_directory = ${folder.path}` });
  const reply = await agent.deliver({ nexthop: 'unix:lmtp', content }, 'a@x.example');
  assert.deepEqual(statusOf(reply), ['2.1.5 250 2.1.5 kept']);
  assert.equal(server.conversations.length, 1);
  assert.ok(agent.lines[0]!.includes(' relay=mail.example.org[lmtp], '), agent.lines[0]);
});

test('a socket that is not there', async () => {
  await using agent = await startAgent(lmtp, { mainCf: '' });
  const reply = await agent.deliver({ nexthop: 'unix:/nowhere/lmtp', content }, 'a@x.example');
  assert.deepEqual(statusOf(reply), ['4.4.1 connect to mail.example.org[/nowhere/lmtp]: No such file or directory']);
});

test('flags put headers in front, make the delivery final, and stop a loop', async () => {
  await using server = await scriptedServer(answering('250 2.1.5 kept'));
  await using agent = await startAgent(lmtp, { mainCf: '', argv: ['flags=DORX'] });
  const nexthop = `inet:127.0.0.1:${server.port}`;
  const recipients = [
    { offset: 0, address: 'b@x.example', originalAddress: 'a@x.example', dsnOriginalRecipient: '', dsnNotify: 0 },
  ];
  const reply = await agent.deliver({ nexthop, content, recipients });
  assert.equal(reply.recipients[0]!.notification!.action, 'delivered');
  const { heard } = server.conversations[0]!;
  const start = heard.indexOf('DATA') + 1;
  assert.deepEqual(heard.slice(start, start + 4), [
    'Return-Path: <sender@example.com>',
    'X-Original-To: a@x.example',
    'Delivered-To: b@x.example',
    'Subject: test',
  ]);
  const again = await agent.deliver({ nexthop, content: Buffer.from('Delivered-To: B@X.example\n\n'), recipients });
  assert.deepEqual(statusOf(again), ['5.4.6 mail forwarding loop for b@x.example']);
});

test('a flag that does not exist stops the service', async () => {
  await assert.rejects(startAgent(lmtp, { mainCf: '', argv: ['flags=Q'] }), /unknown flag Q/);
});
