/** Deferred, retried, bounced, held, deleted, flushed: what postmasters see and do, and a restart in the middle. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../support/until.ts';
import { converse, type NextHop, startInstance, startNextHop, type TestInstance } from './instance.ts';

let hop: NextHop;
let instance: TestInstance;
let directory: string;

const mainCf = (): string => `
myhostname = mail.example.org
mydestination =
relay_domains = example.com example.net
relayhost = [127.0.0.1]:${hop.port}
virtual_mailbox_domains = boxes.example
virtual_mailbox_base = $postfleet_state_directory/mail
virtual_mailbox_maps = inline:{ {sender@boxes.example = boxes.example/sender/} }
fast_flush_domains = example.net
header_checks = pcre:{{/^Subject: kept back/ HOLD}}
minimal_backoff_time = 3600s
maximal_backoff_time = 3600s
smtp_tls_security_level = none`;

before(async () => {
  hop = await startNextHop();
  directory = mkdtempSync(join(tmpdir(), 'postfleet-life-'));
  instance = await startInstance({ mainCf: mainCf(), directory });
});
after(async () => {
  await instance?.[Symbol.asyncDispose]();
  await hop?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function send(recipient: string, subject: string): Promise<string> {
  const replies = await converse(instance.port, [
    'EHLO test\r\n',
    'MAIL FROM:<sender@boxes.example>\r\n',
    `RCPT TO:<${recipient}>\r\n`,
    'DATA\r\n',
    `Subject: ${subject}\r\n\r\nbody of ${subject}\r\n.\r\n`,
    'QUIT\r\n',
  ]);
  const id = /queued as (\w+)/.exec(replies[5] ?? '')?.[1];
  assert.ok(id !== undefined, replies.join('\n'));
  return id;
}

/** The message in the sender's mailbox that has all these texts. */
function inMailbox(...texts: string[]): Promise<string> {
  const folder = join(directory, 'var/mail/boxes.example/sender/new');
  return until(`a message with ${texts.join(' and ')} in the mailbox`, () => {
    try {
      return readdirSync(folder)
        .map((name) => readFileSync(join(folder, name), 'utf8'))
        .find((mail) => texts.every((text) => mail.includes(text)));
    } catch {
      return undefined;
    }
  });
}

const queue = (): Promise<string> => instance.command('postqueue', ['-p']);

test('a message that the next hop puts off stays in the queue with its reason, survives a restart, and goes out when it is flushed', async () => {
  hop.recipientReply = 450;
  const id = await send('later@example.com', 'put off');
  await instance.logged(
    new RegExp(`${id}: to=<later@example\\.com>, relay=127\\.0\\.0\\.1.*dsn=4\\.0\\.0, status=deferred`),
  );
  const listing = await until('the reason in the queue', async () => {
    const text = await queue();
    return text.includes('as the test wants it') && text;
  });
  assert.match(listing, new RegExp(`^${id}\\s+\\d+ .*sender@boxes\\.example\\n.*450.*\\n\\s+later@example\\.com`, 'm'));
  const json = (await instance.command('postqueue', ['-j']))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.equal(json[0]?.queue_id, id);
  assert.equal(json[0]?.queue_name, 'deferred');

  await instance.stop();
  hop.recipientReply = 250;
  instance = await startInstance({ mainCf: mainCf(), directory });
  assert.match(await instance.command('postcat', ['-q', id]), /body of put off/);
  await instance.command('postqueue', ['-f']);
  const { content } = await hop.message('body of put off');
  assert.match(content.toString(), /Subject: put off/);
  await instance.logged(new RegExp(`${id}: removed`));
  assert.match(await queue(), /Mail queue is empty/);
});

test('a message that the next hop refuses comes back to its sender as a report that programs can read', async () => {
  hop.recipientReply = 550;
  const id = await send('never@example.com', 'refused');
  await instance.logged(new RegExp(`${id}: sender non-delivery notification`));
  const report = await inMailbox(id, 'Subject: Undelivered Mail');
  for (const part of [
    /^Return-Path: <>$/m,
    /multipart\/report; report-type=delivery-status/,
    /^Final-Recipient: rfc822; never@example\.com$/m,
    /^Action: failed$/m,
    /^Status: 5\.0\.0$/m,
    /body of refused/,
  ]) {
    assert.match(report, part);
  }
  hop.recipientReply = 250;
});

test('a message that is deleted from the queue is gone', async () => {
  hop.recipientReply = 450;
  const id = await send('gone@example.com', 'to be deleted');
  await instance.logged(new RegExp(`${id}: to=.*status=deferred`));
  await until('the message in the queue', async () => (await queue()).includes(id));
  await instance.command('postsuper', ['-d', id]);
  assert.match(await queue(), /Mail queue is empty/);
  hop.recipientReply = 250;
});

test('a queue id that is not there is said to be so', async () => {
  assert.match(
    await instance.command('postcat', ['-q', '4Nonexistent0zAAAAAAAAAA'], { statuses: [1, 66, 69] }),
    /4Nonexistent0zAAAAAAAAAA/,
  );
});

test('a message on hold is not tried until it is released', async () => {
  hop.recipientReply = 450;
  const id = await send('held@example.com', 'held back');
  await instance.logged(new RegExp(`${id}: to=.*status=deferred`));
  await until('the message in the queue', async () => (await queue()).includes(id));
  assert.match(
    await instance.command('postsuper', ['-h', id]),
    new RegExp(`${id}: placed on hold\\n.*Placed on hold: 1 `),
  );
  assert.match(await queue(), new RegExp(`^${id}!`, 'm'));
  hop.recipientReply = 250;
  await instance.command('postqueue', ['-f']);
  await instance.command('postqueue', ['-i', id]);
  const other = await send('free@example.com', 'passes by');
  await hop.message('body of passes by');
  await instance.logged(new RegExp(`${other}: removed`));
  assert.ok(!hop.received.some(({ content }) => content.includes('body of held back')));
  assert.match(await instance.command('postsuper', ['-H', 'ALL']), /Released from hold: 1 message\n/);
  await hop.message('body of held back');
});

test('a message that is requeued goes out under another id, once, and its old one is gone', async () => {
  hop.recipientReply = 450;
  const id = await send('again@example.net', 'once more');
  await instance.logged(new RegExp(`${id}: to=.*status=deferred`));
  await until('the message in the queue', async () => (await queue()).includes(id));
  hop.recipientReply = 250;
  assert.match(await instance.command('postsuper', ['-r', id]), new RegExp(`${id}: requeued\\n.*Requeued: 1 `));
  await hop.message('body of once more');
  await until('an empty queue', async () => (await queue()).includes('Mail queue is empty'));
  assert.equal(hop.received.filter(({ content }) => content.includes('body of once more')).length, 1);
  assert.doesNotMatch(instance.log(), new RegExp(`${id}: .*status=sent`));
});

test('mail for one site goes out at its request', async () => {
  hop.recipientReply = 450;
  const [wanted, other] = [await send('a@example.net', 'for the site'), await send('a@example.com', 'for another')];
  for (const id of [wanted, other]) await instance.logged(new RegExp(`${id}: to=.*status=deferred`));
  await until(
    'both in the queue',
    async () => [wanted, other].every((id) => instance.log().includes(id)) && (await queue()).includes(other),
  );
  hop.recipientReply = 250;
  await instance.command('postqueue', ['-s', 'example.net']);
  await hop.message('body of for the site');
  assert.ok((await queue()).includes(other));
  assert.match(
    await instance.command('postqueue', ['-s', 'elsewhere.example'], { statuses: [69] }),
    /^postqueue: fatal: Flush service is not configured for destination "elsewhere\.example"$/m,
  );
  assert.match(await instance.command('postsuper', ['-d', 'ALL']), /Deleted: 1 message\n/);
  assert.match(await queue(), /Mail queue is empty/);
});

test('a message that is forced to expire comes back at its next attempt, which is not made, with the reason of the last', async () => {
  hop.recipientReply = 450;
  const id = await send('expired@example.com', 'given up');
  await instance.logged(new RegExp(`${id}: to=.*status=deferred`));
  await until('the message in the queue', async () => (await queue()).includes(id));
  hop.recipientReply = 250;
  assert.match(await instance.command('postsuper', ['-e', id]), new RegExp(`${id}: expired\\n.*Force-expired: 1 `));
  assert.match(await queue(), new RegExp(`^${id}#`, 'm'));
  await instance.command('postqueue', ['-i', id]);
  await instance.logged(new RegExp(`${id}: from=<sender@boxes\\.example>, status=force-expired, returned to sender`));
  const notice = await inMailbox(id, 'Subject: Undelivered Mail');
  assert.match(notice, /^Final-Recipient: rfc822; expired@example\.com$/m);
  assert.match(notice, /^Action: failed\nStatus: 4\.0\.0$/m);
  assert.match(notice, /450 4\.0\.0 as the test wants it|as the test wants it/);
  await until('an empty queue', async () => (await queue()).includes('Mail queue is empty'));
  assert.ok(!hop.received.some(({ content }) => content.includes('body of given up')));
});

test('a message that is forced to expire before its first attempt comes back when it is released', async () => {
  const id = await send('never-tried@example.com', 'kept back');
  await until('the message in the queue', async () => (await queue()).includes(`${id}!`));
  assert.match(await instance.command('postsuper', ['-f', id]), /Force-expired: 1 .*\n.*Released from hold: 1 /);
  await instance.logged(
    new RegExp(
      `${id}: to=<never-tried@example\\.com>, relay=none, .*dsn=4\\.7\\.0, status=deferred \\(message is administratively`,
    ),
  );
  await instance.logged(new RegExp(`${id}: .*status=force-expired`));
  assert.match(
    await inMailbox(id, 'Subject: Undelivered Mail'),
    /^Diagnostic-Code: X-Postfix; message is administratively expired$/m,
  );
  assert.ok(!hop.received.some(({ content }) => content.includes('body of kept back')));
});

test('sendmail -bv reports what would happen to each address, and sends nothing there', async () => {
  const before = hop.received.length;
  const sender = 'sender@boxes.example';
  await instance.command('sendmail', ['-bv', '-f', sender, 'probe@example.com', 'nobody@boxes.example']);
  const mail = await inMailbox('probe@example.com', 'Subject: Mail Delivery Status Report');
  assert.match(mail, /^Final-Recipient: rfc822; probe@example\.com\n(?:.+\n)*?Action: deliverable\n/m);
  assert.match(mail, /^Final-Recipient: rfc822; nobody@boxes\.example\n(?:.+\n)*?Action: undeliverable\n/m);
  assert.equal(hop.received.length, before);
  await until('an empty queue', async () => (await queue()).includes('Mail queue is empty'));
});

test('sendmail -v reports the first attempt, and delivery goes on', async () => {
  hop.recipientReply = 450;
  const content = 'Subject: watched\n\nbody of watched\n';
  await instance.command('sendmail', ['-v', '-f', 'sender@boxes.example', 'watched@example.com'], { stdin: content });
  const mail = await inMailbox('watched@example.com', 'Subject: Mail Delivery Status Report');
  assert.match(mail, /^Action: delayed$/m);
  hop.recipientReply = 250;
  await until('the message in the queue', async () => (await queue()).includes('watched@example.com'));
  await instance.command('postqueue', ['-f']);
  await hop.message('body of watched');
  await until('an empty queue', async () => (await queue()).includes('Mail queue is empty'));
});
