import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { scriptedServer } from '../../test/support/scripted-server.ts';
import { service } from './main.ts';

const rewrite = { rewrite: async () => assert.fail('complete'), resolve: async () => assert.fail('not asked') };
const MAPS = 'inline:{{me@here.local=me@outside.example},{you@here.local=you@outside.example}}';

test('local addresses become public ones in the envelope and in headers; the log keeps the local one', async () => {
  await using server = await scriptedServer(async (conversation) => {
    conversation.say('220 scripted.example ESMTP');
    await conversation.serve(['250-scripted.example', '250 PIPELINING']);
  });
  await using agent = await startAgent(service, { mainCf: `smtp_generic_maps = ${MAPS}`, rewrite });
  const content = Buffer.from(
    'From: Me <me@here.local>\nSubject: me@here.local\nTo: other@x.example\n\nme@here.local\n',
  );
  const nexthop = `[127.0.0.1]:${server.port}`;
  await agent.deliver({ nexthop, content, sender: 'me@here.local' }, 'you@here.local');
  assert.deepEqual(server.conversations[0]!.heard.slice(1, -1), [
    'MAIL FROM:<me@outside.example>',
    'RCPT TO:<you@outside.example>',
    'DATA',
    'From: Me <me@outside.example>',
    'Subject: me@here.local',
    'To: other@x.example',
    '',
    'me@here.local',
  ]);
  assert.match(agent.lines[0]!, /: to=<you@here\.local>, /);
});

test('a table that does not answer defers', async () => {
  await using agent = await startAgent(service, { mainCf: 'smtp_generic_maps = fail:now', rewrite });
  const reply = await agent.deliver({ nexthop: '[127.0.0.1]:9', content: Buffer.alloc(0) }, 'a@x.example');
  assert.deepEqual(statusOf(reply), ['4.3.0 smtp_generic_maps map lookup problem']);
  assert.ok(
    agent.lines.includes('warning: 4TestQueueId: smtp_generic_maps map lookup problem -- message delivery deferred'),
  );
});
