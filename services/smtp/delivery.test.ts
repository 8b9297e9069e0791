import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { scriptedServer } from '../../test/support/scripted-server.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: test\n\n.hello\nworld\n');
const PIPELINING = ['250-scripted.example', '250-PIPELINING', '250 8BITMIME'];

const LINE =
  /^4TestQueueId: to=<a@example\.org>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+,( conn_use=2,)? delay=[\d.]+, delays=[\d.]+\/[\d.]+\/[\d.]+\/[\d.]+, dsn=2\.0\.0, status=sent \(250 2\.0\.0 kept\)$/;

for (const [name, ehlo] of [
  ['with PIPELINING', PIPELINING],
  ['command by command', ['250 scripted.example']],
] as const) {
  test(`a message is delivered ${name}, and the next goes over the same connection`, async () => {
    await using server = await scriptedServer(async (conversation) => {
      conversation.say('220 scripted.example ESMTP');
      await conversation.serve(ehlo);
    });
    await using agent = await startAgent(service, { mainCf: '' });
    const nexthop = `[127.0.0.1]:${server.port}`;
    const reply = await agent.deliver({ nexthop, content }, 'a@example.org');
    assert.deepEqual(statusOf(reply), ['2.0.0 250 2.0.0 kept']);
    assert.equal(reply.recipients[0]!.status, DeliveryStatus.SENT);
    await agent.deliver({ nexthop, content }, 'a@example.org');
    assert.equal(server.conversations.length, 1);
    assert.deepEqual(server.conversations[0]!.heard.slice(0, 9), [
      'EHLO mail.example.org',
      'MAIL FROM:<sender@example.com>',
      'RCPT TO:<a@example.org>',
      'DATA',
      'Subject: test',
      '',
      '..hello',
      'world',
      '.',
    ]);
    assert.equal(agent.lines.length, 2);
    assert.match(agent.lines[0]!, LINE);
    assert.match(agent.lines[1]!, LINE);
    assert.ok(agent.lines[1]!.includes(' conn_use=2,'));
  });
}

test('a server that does DSN is left to report success', async () => {
  for (const [ehlo, action] of [
    [['250-scripted.example', '250 DSN'], ''],
    [['250 scripted.example'], 'relayed'],
  ] as const) {
    await using server = await scriptedServer(async (conversation) => {
      conversation.say('220 scripted.example ESMTP');
      await conversation.serve(ehlo);
    });
    await using agent = await startAgent(service, { mainCf: '' });
    const reply = await agent.deliver({ nexthop: `[127.0.0.1]:${server.port}`, content }, 'a@example.org');
    assert.equal(reply.recipients[0]!.notification!.action, action);
  }
});

test('a request that only verifies asks for recipients and sends nothing', async () => {
  for (const ehlo of [PIPELINING, ['250 scripted.example']]) {
    await using server = await scriptedServer(async (conversation) => {
      conversation.say('220 scripted.example ESMTP');
      await conversation.serve(ehlo);
    });
    await using agent = await startAgent(service, { mainCf: '' });
    const nexthop = `[127.0.0.1]:${server.port}`;
    await agent.deliver({ nexthop, content, traceFlags: 1 }, 'a@example.org');
    assert.match(agent.lines[0]!, /status=deliverable \(250 2\.1\.0 fine\)$/);
    const reply = await agent.deliver({ nexthop, content }, 'a@example.org');
    assert.equal(reply.recipients[0]!.status, DeliveryStatus.SENT);
    const { heard } = server.conversations[0]!;
    assert.deepEqual(heard.slice(1, 5), [
      'MAIL FROM:<sender@example.com>',
      'RCPT TO:<a@example.org>',
      'RSET',
      'MAIL FROM:<sender@example.com>',
    ]);
  }
});
