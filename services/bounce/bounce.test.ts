import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Bounce,
  type Cleanup,
  NoticeKind,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
} from '../../lib/clients/protocols.ts';
import type { MessageKey } from '../../lib/queue/message-key.ts';
import { appendBounceLog, type BounceLogRow } from '../../lib/queue/sql/status.ts';
import { testContext } from '../../test/support/delivery.ts';
import { createQueue, type QueuedMessage, type TestQueue } from '../../test/support/queue.ts';
import { service } from './main.ts';

interface Situation extends AsyncDisposable {
  readonly queue: TestQueue;
  readonly bounce: Bounce;
  readonly submitted: SubmitRequest[];
  readonly lines: string[];
  /** Submissions that cleanup had at a time. */
  readonly atOnce: { now: number; most: number };
  /** What cleanup answers next; QUEUED when there is nothing. */
  readonly answers: Partial<SubmitReply>[];
}

async function situation(mainCf = ''): Promise<Situation> {
  const queue = await createQueue();
  const submitted: SubmitRequest[] = [];
  const answers: Partial<SubmitReply>[] = [];
  const answer = (request: SubmitRequest): SubmitReply => {
    submitted.push(request);
    const queued = { status: SubmitStatus.QUEUED, queueId: `NEW${submitted.length}`, enhancedStatus: '', reason: '' };
    return { ...queued, ...answers.shift() };
  };
  const atOnce = { now: 0, most: 0 };
  const cleanup: Cleanup = {
    async submit(request) {
      atOnce.now++;
      atOnce.most = Math.max(atOnce.most, atOnce.now);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce.now--;
      return answer(request);
    },
    async submitLarge(request, content) {
      const pieces: Buffer[] = [];
      for await (const piece of content) pieces.push(piece);
      return answer({ ...request, content: Buffer.concat(pieces) });
    },
  };
  const lines: string[] = [];
  const context = {
    ...testContext({ mainCf, cleanup, lines, name: 'bounce' }),
    entries: queue.entries,
    stores: queue.stores,
  };
  const running = await service.start(context);
  return {
    queue,
    bounce: running.implementation.bounce!,
    submitted,
    lines,
    atOnce,
    answers,
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      await queue[Symbol.asyncDispose]();
    },
  };
}

function logged(key: MessageKey, recipient: number, address: string, fields: Partial<BounceLogRow> = {}): BounceLogRow {
  return {
    log: key.log,
    sequence: key.sequence,
    entry: key.entry,
    kind: 1,
    recipient,
    address: Buffer.from(address),
    originalAddress: Buffer.alloc(0),
    dsnOriginalRecipient: Buffer.alloc(0),
    dsnNotify: 0,
    status: '5.1.1',
    action: 'failed',
    reason: Buffer.from('unknown user'),
    diagnosticType: '',
    diagnosticText: Buffer.alloc(0),
    remoteMta: '',
    ...fields,
  };
}

async function failed(t: Situation, message: Partial<QueuedMessage>, fields: Partial<BounceLogRow> = {}) {
  const recipients = message.recipients ?? [{ address: 'user@example.org', done: true }];
  const key = await t.queue.add({ ...message, recipients });
  const rows = recipients.map(({ address }, offset) => logged(key, offset, address, fields));
  await appendBounceLog(t.queue.database.pool, rows);
  const kind = { 1: NoticeKind.BOUNCE, 2: NoticeKind.DELAY, 3: NoticeKind.TRACE }[fields.kind ?? 1];
  return { kind, log: key.log, sequence: key.sequence, offset: key.entry, queueId: key.queueId };
}

const text = (request: SubmitRequest | undefined): string => request!.content.toString('utf8');

test('the sender is told of a failure, with the message and what the server said', async () => {
  await using t = await situation();
  const request = await failed(
    t,
    { envelope: { dsnEnvid: 'id+2B1', arrivalTime: Date.UTC(2026, 10, 22, 14, 7, 36) * 1000 } },
    {
      reason: Buffer.from('host mx.example.org[192.0.2.1] said: 550 5.1.1 No such user (in reply to RCPT TO command)'),
      diagnosticType: 'smtp',
      diagnosticText: Buffer.from('550 5.1.1 No such user'),
      remoteMta: 'mx.example.org',
      dsnOriginalRecipient: Buffer.from('rfc822;us+2Ber@example.net'),
    },
  );
  assert.deepEqual(await t.bounce.notify([request]), [{ done: true, queueId: 'NEW1', reason: '' }]);
  const { envelope, options, content } = t.submitted[0]!;
  assert.equal(envelope!.sender, '');
  assert.deepEqual(
    envelope!.recipients.map(({ address }) => address),
    ['sender@example.com'],
  );
  assert.equal(envelope!.encoding, '7bit');
  assert.equal(envelope!.contentSize, content.length);
  assert.equal(options!.filterContent, false);
  const [received = '', ...rest] = content.toString('latin1').split(/(?=From: )/);
  assert.match(
    received,
    new RegExp(`^Received: by mail\\.example\\.org \\(Postfix\\)\n\tid ${envelope!.queueId}; .*\n$`),
  );
  const notice = rest.join('').replace(/(4Test\w+\.)\d+/g, '$1TIME');
  assert.ok(
    notice.startsWith('From: Mail Delivery System <MAILER-DAEMON>\nSubject: Undelivered Mail Returned to Sender\n'),
  );
  assert.ok(notice.includes('\n\nThis is the mail system at host mail.example.org.\n\n'));
  assert.ok(
    notice.includes(`
<user@example.org>: host mx.example.org[192.0.2.1] said: 550 5.1.1 No such user
    (in reply to RCPT TO command)

--${request.queueId}.TIME/mail.example.org
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org
Original-Envelope-Id: id+1
X-Postfix-Queue-ID: ${request.queueId}
X-Postfix-Sender: rfc822; sender@example.com
Arrival-Date: Sun, 22 Nov 2026 14:07:36 +0000 (UTC)

Final-Recipient: rfc822; user@example.org
Original-Recipient: rfc822;us+er@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 5.1.1 No such user

--${request.queueId}.TIME/mail.example.org
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <sender@example.com>
Subject: test

hello

--${request.queueId}.TIME/mail.example.org--
`),
    notice,
  );
  assert.deepEqual(t.lines, [`${request.queueId}: sender non-delivery notification: NEW1`]);
});

const AUDIENCES: readonly {
  name: string;
  mainCf?: string;
  message?: Partial<QueuedMessage>;
  fields?: Partial<BounceLogRow>;
  /** [envelope sender, recipient, subject] of each notice. */
  expected: readonly [string, string, string][];
  lines?: RegExp;
}[] = [
  {
    name: 'the postmaster gets a copy where notify_classes has bounce',
    mainCf: 'notify_classes = bounce\nmyorigin = example.net',
    expected: [
      ['', 'sender@example.com', 'Undelivered Mail Returned to Sender'],
      ['double-bounce@example.net', 'postmaster', 'Postmaster Copy: Undelivered Mail'],
    ],
    lines: /postmaster non-delivery notification: NEW2/,
  },
  {
    name: 'an undeliverable notice goes to the postmaster where notify_classes has 2bounce',
    mainCf: 'notify_classes = 2bounce\n2bounce_notice_recipient = chief',
    message: { envelope: { sender: '' } },
    fields: { dsnNotify: 1 },
    expected: [['double-bounce@mail.example.org', 'chief', 'Postmaster Copy: Undelivered Mail']],
  },
  {
    name: 'an undeliverable notice is dropped elsewhere',
    mainCf: 'notify_classes = resource, software',
    message: { envelope: { sender: '' } },
    expected: [],
  },
  {
    name: 'an undeliverable notice to the postmaster is discarded with a warning',
    mainCf: 'notify_classes = bounce, 2bounce',
    message: { envelope: { sender: 'double-bounce@mail.example.org' } },
    expected: [],
    lines: /^warning: \w+: undeliverable postmaster notification discarded$/m,
  },
  { name: 'NOTIFY=NEVER', fields: { dsnNotify: 1 }, expected: [] },
  { name: 'NOTIFY=SUCCESS,DELAY says nothing of failures', fields: { dsnNotify: 10 }, expected: [] },
  {
    name: 'NOTIFY=FAILURE',
    fields: { dsnNotify: 4 },
    expected: [['', 'sender@example.com', 'Undelivered Mail Returned to Sender']],
  },
  {
    name: 'a delay is told to the sender, and to the postmaster where notify_classes has delay',
    mainCf: 'notify_classes = delay\ndelay_warning_time = 4h',
    fields: { kind: 2, action: 'delayed', status: '4.2.2' },
    expected: [
      ['', 'sender@example.com', 'Delayed Mail (still being retried)'],
      ['double-bounce@mail.example.org', 'postmaster', 'Postmaster Warning: Delayed Mail'],
    ],
    lines: /sender delay notification: NEW1\n.*postmaster delay notification: NEW2/,
  },
  { name: 'NOTIFY=FAILURE says nothing of delays', fields: { kind: 2, dsnNotify: 4 }, expected: [] },
  { name: 'success is told on request only', fields: { kind: 3, action: 'relayed', status: '2.0.0' }, expected: [] },
  {
    name: 'NOTIFY=SUCCESS',
    fields: { kind: 3, action: 'delivered', status: '2.0.0', dsnNotify: 2 },
    expected: [['', 'sender@example.com', 'Successful Mail Delivery Report']],
    lines: /sender delivery status notification: NEW1/,
  },
  {
    name: 'sendmail -bv is answered with a status report',
    message: { envelope: { traceFlags: 1 } },
    fields: { kind: 3, action: 'deliverable', status: '2.0.0' },
    expected: [['', 'sender@example.com', 'Mail Delivery Status Report']],
  },
  {
    name: 'a VERP sender gets a notice for each recipient at an address that names it',
    message: {
      envelope: { sender: 'list-owner@example.com', verpDelimiters: '+=' },
      recipients: [
        { address: 'a@example.org', done: true },
        { address: 'b@example.net', done: true },
      ],
    },
    expected: [
      ['', 'list-owner+a=example.org@example.com', 'Undelivered Mail Returned to Sender'],
      ['', 'list-owner+b=example.net@example.com', 'Undelivered Mail Returned to Sender'],
    ],
  },
];

for (const { name, mainCf, message = {}, fields, expected, lines } of AUDIENCES) {
  test(`who is told: ${name}`, async () => {
    await using t = await situation(mainCf);
    const request = await failed(t, message, fields);
    const [reply] = await t.bounce.notify([request]);
    assert.equal(reply!.done, true);
    const notices = t.submitted.map((request) => [
      request.envelope!.sender,
      request.envelope!.recipients[0]!.address,
      /^Subject: (.*)$/m.exec(text(request))![1],
    ]);
    assert.deepEqual(notices, expected);
    if (lines !== undefined) assert.match(t.lines.join('\n'), lines);
    const keys = t.submitted.map((request) => request.envelope!.idempotenceKey);
    assert.equal(new Set(keys).size, keys.length, 'each notice has a key of its own');
  });
}

test('notices for each recipient are submitted sixteen at once, and none is under way after one was not kept', async () => {
  await using t = await situation();
  const recipients = Array.from({ length: 40 }, (_, n) => ({ address: `user${n}@example.org`, done: true }));
  const envelope = { sender: 'list-owner@example.com', verpDelimiters: '+=' };
  const request = await failed(t, { envelope, recipients });
  t.answers.push({}, { status: SubmitStatus.TEMPORARY_ERROR, reason: 'no room' });
  assert.equal((await t.bounce.notify([request]))[0]!.done, false);
  assert.deepEqual([t.atOnce.now, t.atOnce.most, t.submitted.length], [0, 16, 16]);
  assert.match(t.lines.pop()!, /warning: .*: notification deferred: cleanup did not take the notice: no room/);
  assert.equal((await t.bounce.notify([request]))[0]!.done, true);
  assert.equal(new Set(t.submitted.map(({ envelope }) => envelope!.idempotenceKey)).size, 40);
});

test('a request that is repeated uses the same keys, and another set of recipients another one', async () => {
  await using t = await situation('notify_classes = bounce');
  const request = await failed(t, {});
  await t.bounce.notify([request]);
  await t.bounce.notify([request]);
  const key = { log: request.log, sequence: request.sequence, entry: request.offset };
  await appendBounceLog(t.queue.database.pool, [logged(key, 7, 'later@example.org')]);
  await t.bounce.notify([request]);
  const keys = t.submitted.map((submitted) => submitted.envelope!.idempotenceKey);
  assert.deepEqual(keys.slice(0, 2), keys.slice(2, 4));
  assert.notEqual(keys[0], keys[4]);
});

test('a notice that cleanup cannot keep is not done, and the others of the batch are', async () => {
  await using t = await situation();
  const requests = [await failed(t, {}), await failed(t, {})];
  t.answers.push({ status: SubmitStatus.NO_SPACE, reason: 'no room' });
  const replies = await t.bounce.notify(requests);
  assert.deepEqual(replies.map((reply) => reply.done).sort(), [false, true]);
  assert.match(t.lines.join('\n'), /warning: \w+: notification deferred: cleanup did not take the notice: no room/);
});

test('a message that is not in the queue any more needs no notice', async () => {
  await using t = await situation();
  const replies = await t.bounce.notify([{ kind: NoticeKind.BOUNCE, log: 1, sequence: 999, offset: 0 }]);
  assert.deepEqual(replies, [{ done: true, queueId: '', reason: '' }]);
  assert.equal(t.submitted.length, 0);
});

test('a message whose entry cannot be read is not done', async () => {
  await using t = await situation();
  const request = await failed(t, {});
  await t.queue.database.pool.query('update message set at_log = log, at_sequence = 4711, at_entry = 0');
  assert.equal((await t.bounce.notify([request]))[0]!.done, false);
  assert.equal(t.submitted.length, 0);
});

test('RET=HDRS and a message over bounce_size_limit return the headers only', async () => {
  await using t = await situation('bounce_size_limit = 100');
  const large = Buffer.from(`Subject: long\nX-Folded: a\n\tb\n\n${'x'.repeat(100)}\n`);
  await t.bounce.notify([await failed(t, { envelope: { dsnRet: 'HDRS' } }), await failed(t, { content: large })]);
  for (const request of t.submitted) {
    assert.match(
      text(request),
      /Content-Description: Undelivered Message Headers\nContent-Type: text\/rfc822-headers\n\nReturn-Path: <sender@example.com>\nSubject: (test|long\nX-Folded: a\n\tb)\n\n--/,
    );
  }
  assert.equal(t.submitted.length, 2);
});

test('a notice that is too large with the message is sent with its headers, or with nothing', async () => {
  await using t = await situation();
  const tooLarge = { status: SubmitStatus.TOO_LARGE, reason: 'message size exceeds limit' };
  t.answers.push(tooLarge, tooLarge);
  assert.equal((await t.bounce.notify([await failed(t, {})]))[0]!.done, true);
  const types = t.submitted.map((request) =>
    text(request)
      .match(/^Content-Type: .*$/gm)!
      .at(-1),
  );
  assert.deepEqual(types, [
    'Content-Type: message/rfc822',
    'Content-Type: text/rfc822-headers',
    'Content-Type: message/delivery-status',
  ]);
  assert.equal(new Set(t.submitted.map((request) => request.envelope!.idempotenceKey)).size, 1);
  t.answers.push(tooLarge, tooLarge, tooLarge);
  assert.equal((await t.bounce.notify([await failed(t, {})]))[0]!.done, false);
});

test('a notice about 8-bit and internationalised mail says so', async () => {
  await using t = await situation();
  const content = Buffer.from('Subject: t\n\nh\xe4\n', 'latin1');
  await t.bounce.notify([await failed(t, { content })]);
  assert.equal(t.submitted[0]!.envelope!.encoding, '8bit');
  assert.ok(t.submitted[0]!.content.includes(Buffer.from('\nh\xe4\n', 'latin1')), 'the bytes are as they were');
  assert.match(t.submitted[0]!.content.toString('latin1'), /message\/rfc822\nContent-Transfer-Encoding: 8bit\n/);

  const global = {
    envelope: { smtputf8: true, sender: 'jürgen@example.com' },
    recipients: [{ address: 'ü@example.org', done: true }],
  };
  await t.bounce.notify([await failed(t, global)]);
  const notice = t.submitted[1]!;
  assert.equal(notice.envelope!.smtputf8, true);
  assert.match(text(notice), /report-type=global-delivery-status;/);
  assert.match(text(notice), /Content-Type: message\/global-delivery-status\nContent-Transfer-Encoding: 8bit\n/);
  assert.match(text(notice), /Final-Recipient: utf-8; ü@example\.org\n/);
  assert.match(text(notice), /Content-Type: message\/global\n/);
});

test('a message with very many failed recipients is answered by several notices', async () => {
  await using t = await situation();
  const recipients = Array.from({ length: 1200 }, (_, index) => ({ address: `u${index}@example.org`, done: true }));
  assert.equal((await t.bounce.notify([await failed(t, { recipients })]))[0]!.done, true);
  assert.equal(t.submitted.length, 3);
  const reported = t.submitted.flatMap((request) => text(request).match(/^Final-Recipient: .*$/gm) ?? []);
  assert.equal(new Set(reported).size, 1200);
});

test('a reason cannot begin a header or a part of its own', async () => {
  await using t = await situation();
  const request = await failed(
    t,
    {},
    { reason: Buffer.from('no\r\n\r\n--x\nBcc: a@b'), remoteMta: 'evil\nStatus: 2.0.0' },
  );
  await t.bounce.notify([request]);
  assert.doesNotMatch(text(t.submitted[0]), /^(Bcc|--x|Status: 2)/m);
});
