import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runQueue } from '../../test/support/commands.ts';
import { main } from './main.ts';
import { showMessage } from './view.ts';

process.env.TZ = 'UTC';

test('-q shows the envelope with the names of queue file records, and the content byte for byte', async () => {
  await using t = await runQueue();
  const { queueId } = await t.queue.add({
    content: Buffer.from('Subject: t\n\nh\xe4\n', 'latin1'),
    envelope: {
      encoding: '8bit',
      rewriteContext: 'remote',
      dsnEnvid: 'id',
      dsnRet: 'HDRS',
      messageId: '<a@b>',
      client: { name: 'host.example', address: '192.0.2.1', port: 4711, heloName: 'helo', protocolName: 'ESMTP' },
      recipients: [{ address: 'a@example.org', originalAddress: 'b@example.org', dsnNotify: 4 }],
    },
    recipients: [{ address: 'a@example.org', deferred: 'x' }],
  });
  const { status, stdout, stderr } = await t.run(main, ['-q', queueId]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(
    stdout,
    `*** ENVELOPE RECORDS deferred/${queueId} ***
message_size:              15               0               1               0              15               0
message_arrival_time: Sun Nov 22 14:07:36 2026
create_time: Sun Nov 22 14:07:36 2026
named_attribute: log_ident=${queueId}
named_attribute: encoding=8bit
named_attribute: rewrite_context=remote
named_attribute: envelope_id=id
named_attribute: ret_flags=2
sender: sender@example.com
named_attribute: client_name=host.example
named_attribute: client_address=192.0.2.1
named_attribute: client_port=4711
named_attribute: helo_name=helo
named_attribute: protocol_name=ESMTP
named_attribute: notify_flags=4
original_recipient: b@example.org
recipient: a@example.org
*** MESSAGE CONTENTS deferred/${queueId} ***
Subject: t

h\xe4
*** HEADER EXTRACTED deferred/${queueId} ***
named_attribute: message_id=<a@b>
*** MESSAGE FILE END deferred/${queueId} ***
`,
  );
});

test('an unknown id, no -q, options about files, and a mail system that is down', async () => {
  await using t = await runQueue();
  const missing = await t.run(main, ['-q', 'ABCD']);
  assert.deepEqual(missing, {
    status: 1,
    stdout: '',
    stderr: 'postcat: fatal: open queue file ABCD: No such file or directory\n',
  });
  assert.match((await t.run(main, ['/some/file'])).stderr, /^postcat: fatal: messages are not files here/);
  assert.match((await t.run(main, ['-o', '-q', 'ABCD'])).stderr, /^postcat: fatal: -o is about records in files/);
  assert.match((await t.run(main, ['-z'])).stderr, /^postcat: invalid option -- 'z'\npostcat: fatal: usage/);
  await t.stop();
  const down = await t.run(main, ['-q', 'ABCD']);
  assert.equal(down.status, 69);
  assert.match(down.stderr, /^postcat: fatal: mail system is down \(.*\)\n$/);
});

async function shown(pieces: readonly Buffer[], header: boolean, body: boolean): Promise<string> {
  const view = { name: 'x', records: [], content: pieces, extracted: [] };
  const out: Buffer[] = [];
  for await (const piece of showMessage(view, { envelope: false, header, body })) out.push(Buffer.from(piece));
  return Buffer.concat(out).toString('latin1');
}

test('header and body are the same whatever pieces the content comes in, and together they are the content', async () => {
  const line = fc.constantFrom('A: b', ' folded', 'no header', '', 'x'.repeat(50), ':', 'B : c', '\tt');
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), fc.array(fc.nat(120), { maxLength: 5 }), async (lines, cuts) => {
      const content = Buffer.from(lines.map((each) => `${each}\n`).join(''));
      const edges = [0, ...cuts.map((cut) => Math.min(cut, content.length)).sort((a, b) => a - b), content.length];
      const pieces = edges.slice(1).map((end, at) => content.subarray(edges[at], end));
      const header = await shown(pieces, true, false);
      const body = await shown(pieces, false, true);
      assert.equal(header + body, content.toString());
      assert.equal(await shown(pieces, true, true), content.toString());
      assert.equal(header, await shown([content], true, false));
    }),
    { numRuns: 300 },
  );
});
