import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startAgent, statusOf, temporaryDirectory } from '../../test/support/delivery.ts';
import { service } from './main.ts';

const content = Buffer.from('Subject: t\n\nFrom here\n>From x\n.dot\n\xe9\0\n', 'latin1');

async function withMailboxes(mainCf = '') {
  const directory = await temporaryDirectory();
  const agent = await startAgent(service, {
    mainCf: `virtual_mailbox_base = ${directory.path}
virtual_mailbox_maps = inline:{box@v.example=box, dir@v.example=dir/, ext@v.example=e/x/t/, @all.example=all}
recipient_delimiter = +
postfleet_mailbox_owner = self
deliver_lock_delay = 1s
deliver_lock_attempts = 1
${mainCf}`,
  });
  return {
    agent,
    base: directory.path,
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

test('a maildir delivery writes one file in new/ and makes the directories', async () => {
  await using t = await withMailboxes();
  const reply = await t.agent.deliver({ content }, 'Dir+ext@v.example');
  assert.deepEqual(statusOf(reply), ['2.0.0 delivered to maildir']);
  const files = await readdir(`${t.base}/dir/new`);
  assert.equal(files.length, 1);
  const written = await readFile(`${t.base}/dir/new/${files[0]}`, 'latin1');
  assert.equal(
    written,
    'Return-Path: <sender@example.com>\nX-Original-To: Dir+ext@v.example\nDelivered-To: Dir+ext@v.example\n' +
      content.toString('latin1'),
  );
  assert.equal((await stat(`${t.base}/dir/cur`)).mode & 0o777, 0o700);
  assert.deepEqual(await readdir(`${t.base}/dir/tmp`), []);
  assert.match(
    t.agent.lines.join('\n'),
    /^4TestQueueId: to=<Dir\+ext@v\.example>, relay=virtual, delay=\S+, delays=\S+, dsn=2\.0\.0, status=sent \(delivered to maildir\)$/,
  );
});

test('an mbox delivery quotes From lines and ends with an empty line', async () => {
  await using t = await withMailboxes();
  await t.agent.deliver({ content, sender: '' }, 'box@v.example');
  await t.agent.deliver({ content: Buffer.from('X: y\n\nno line end') }, 'box@v.example');
  const written = await readFile(`${t.base}/box`, 'latin1');
  assert.match(
    written,
    /^From MAILER-DAEMON {2}\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\nReturn-Path: <>\nX-Original-To: box@v\.example\nDelivered-To: box@v\.example\nSubject: t\n\n>From here\n>From x\n\.dot\n\xe9\0\n\nFrom sender@example\.com {2}/,
  );
  assert.match(written, /\n\nno line end\n\n$/);
  assert.equal((await stat(`${t.base}/box`)).mode & 0o777, 0o600);
});

test('a repeated attempt finds the message in new/, and in cur/ with the flags of its reader', async () => {
  await using t = await withMailboxes();
  const same = { content, queueId: '4RepeatedId', arrivalTime: Date.now() * 1000 };
  await t.agent.deliver(same, 'dir@v.example');
  await t.agent.deliver(same, 'dir@v.example');
  const [file, ...others] = await readdir(`${t.base}/dir/new`);
  assert.deepEqual(others, []);
  await rename(`${t.base}/dir/new/${file}`, `${t.base}/dir/cur/${file}:2,S`);
  const reply = await t.agent.deliver(same, 'dir@v.example');
  assert.deepEqual(statusOf(reply), ['2.0.0 delivered to maildir']);
  assert.deepEqual(await readdir(`${t.base}/dir/new`), []);
  await t.agent.deliver(same, 'other@v.example', 'dir@v.example');
  assert.equal((await readdir(`${t.base}/dir/new`)).length, 1, 'another recipient of the same message gets its own');
});

test('many deliveries at once all arrive', async () => {
  await using t = await withMailboxes();
  const deliver = (number: number) =>
    t.agent.deliver(
      { content: Buffer.from(`N: ${number}\n\n`), queueId: `4Id${number}` },
      `${number % 2 ? 'dir' : 'box'}@v.example`,
    );
  const replies = await Promise.all(Array.from({ length: 60 }, (_, number) => deliver(number)));
  assert.ok(replies.every((reply) => reply.recipients[0]!.notification!.status === '2.0.0'));
  assert.equal((await readdir(`${t.base}/dir/new`)).length, 30);
  assert.equal((await readFile(`${t.base}/box`, 'latin1')).match(/^From /gm)!.length, 30);
});

const refusals: [string, string, string, string][] = [
  ['an unknown recipient bounces', '', 'None@v.example', '5.1.1 unknown user: "none@v.example"'],
  [
    'a message above the limit bounces from a maildir',
    'message_size_limit = 60\nvirtual_mailbox_limit = 60',
    'dir@v.example',
    '5.2.2 maildir delivery failed: error writing message: File too large',
  ],
  [
    'a mailbox above the limit bounces',
    'message_size_limit = 60\nvirtual_mailbox_limit = 60',
    'box@v.example',
    '5.2.2 delivery failed to mailbox BASE/box: error writing message: File too large',
  ],
  ['a failing table defers', 'virtual_mailbox_maps = fail:x', 'box@v.example', '4.3.5 mail system configuration error'],
];
for (const [name, mainCf, recipient, expected] of refusals) {
  test(name, async () => {
    await using t = await withMailboxes(mainCf);
    const reply = await t.agent.deliver({ content }, recipient);
    assert.deepEqual(
      statusOf(reply).map((status) => status.replace(t.base, 'BASE')),
      [expected],
    );
  });
}

test('a mailbox over its limit keeps what it had', async () => {
  await using t = await withMailboxes('message_size_limit = 200\nvirtual_mailbox_limit = 200');
  await writeFile(`${t.base}/box`, 'x'.repeat(100));
  await t.agent.deliver({ content }, 'box@v.example');
  assert.equal(await readFile(`${t.base}/box`, 'latin1'), 'x'.repeat(100));
  await assert.rejects(stat(`${t.base}/box.lock`), { code: 'ENOENT' });
});

test('a lock of somebody else defers, one of a killed process of ours does not', async () => {
  await using t = await withMailboxes();
  await writeFile(`${t.base}/box.lock`, '1\n');
  const held = await t.agent.deliver({ content }, 'box@v.example');
  assert.deepEqual(statusOf(held), [
    `4.2.0 delivery failed to mailbox ${t.base}/box: unable to create lock file ${t.base}/box.lock: File exists`,
  ]);
  const { lockMailbox } = await import('../../lib/delivery/dotlock.ts');
  const settings = { staleTime: 500, attempts: 1, delay: 1, mayFail: false };
  const release = await lockMailbox(`${t.base}/other`, settings);
  const ours = await readFile(`${t.base}/other.lock`, 'latin1');
  await release();
  await writeFile(`${t.base}/box.lock`, ours.replace(/^\d+/, '4194304'));
  assert.deepEqual(statusOf(await t.agent.deliver({ content }, 'box@v.example')), ['2.0.0 delivered to mailbox']);
});

test('a symbolic link in place of a mailbox is not followed', async () => {
  await using t = await withMailboxes();
  const { symlink } = await import('node:fs/promises');
  await writeFile(`${t.base}/target`, 'kept');
  await symlink(`${t.base}/target`, `${t.base}/box`);
  const [status] = statusOf(await t.agent.deliver({ content }, 'box@v.example'));
  assert.match(status!, /^4\.2\.0 delivery failed to mailbox .*Too many levels of symbolic links$/);
  assert.equal(await readFile(`${t.base}/target`, 'latin1'), 'kept');
});

test('a message that was delivered to the recipient before bounces', async () => {
  await using t = await withMailboxes();
  const looping = Buffer.from('A: b\ndelivered-to: <DIR@v.example>\n\nbody\n');
  const reply = await t.agent.deliver({ content: looping }, 'dir@V.example');
  assert.deepEqual(statusOf(reply), ['5.4.6 mail forwarding loop for dir@V.example']);
});

const asRoot = { skip: process.geteuid?.() !== 0 && 'needs root' };

test('run by root, mailboxes belong to whom the tables name', asRoot, async () => {
  await using t = await withMailboxes(
    'postfleet_mailbox_owner =\nvirtual_uid_maps = inline:{dir@v.example=1234, ext@v.example=50, box@v.example=1235}\nvirtual_gid_maps = static:1234',
  );
  await chmod(t.base, 0o1777);
  const large = Buffer.concat([content, Buffer.alloc(100_000, 'line\n')]);
  assert.deepEqual(statusOf(await t.agent.deliver({ content: large }, 'dir@v.example')), [
    '2.0.0 delivered to maildir',
  ]);
  const [file] = await readdir(`${t.base}/dir/new`);
  const written = await stat(`${t.base}/dir/new/${file}`);
  assert.deepEqual([written.uid, written.gid], [1234, 1234]);
  assert.ok((await readFile(`${t.base}/dir/new/${file}`)).subarray(-large.length).equals(large));
  assert.deepEqual(statusOf(await t.agent.deliver({ content }, 'box@v.example')), ['2.0.0 delivered to mailbox']);
  assert.equal((await stat(`${t.base}/box`)).uid, 1235);

  assert.deepEqual(statusOf(await t.agent.deliver({ content }, 'ext@v.example')), [
    '4.3.5 mail system configuration error',
  ]);
  assert.match(t.agent.lines.join('\n'), /bad value "50" in virtual_uid_maps, expected a number from 100/);
});

test('run by root, a directory of somebody else defers with a warning', asRoot, async () => {
  await using t = await withMailboxes('postfleet_mailbox_owner = 1234:1234');
  await mkdir(`${t.base}/dir`, { mode: 0o700 });
  const [status] = statusOf(await t.agent.deliver({ content }, 'dir@v.example'));
  assert.match(status!, /^4\.2\.0 maildir delivery failed: create maildir file .*: Permission denied$/);
  assert.match(t.agent.lines[0]!, /^warning: maildir access problem for UID\/GID=1234\/1234: create maildir file/);
});
