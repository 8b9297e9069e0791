import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testContext } from '../../test/support/delivery.ts';
import { createQueue, type TestQueue } from '../../test/support/queue.ts';
import {
  Envelope,
  type Queue,
  QueueChange,
  type QueueItem,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
  Unavailable,
} from '../clients/protocols.ts';
import { createQueueCommands } from './queue-commands.ts';

interface Situation extends AsyncDisposable {
  readonly queue: TestQueue;
  readonly commands: Queue;
  readonly lines: string[];
  readonly cleanup: { answer: SubmitStatus; readonly requests: SubmitRequest[] };
}

async function situation(): Promise<Situation> {
  const queue = await createQueue();
  const lines: string[] = [];
  const base = testContext({ mainCf: '', lines, name: 'showq' });
  const cleanup: Situation['cleanup'] = { answer: SubmitStatus.QUEUED, requests: [] };
  const submit = async (request: SubmitRequest): Promise<SubmitReply> => {
    cleanup.requests.push(request);
    return { status: cleanup.answer, queueId: request.envelope!.queueId, enhancedStatus: '', reason: 'as told' };
  };
  const context = {
    ...base,
    clients: { ...base.clients, cleanup: () => ({ submit, submitLarge: submit }) },
    entries: queue.entries,
    stores: queue.stores,
  };
  return {
    queue,
    commands: createQueueCommands(context),
    lines,
    cleanup,
    [Symbol.asyncDispose]: () => queue[Symbol.asyncDispose](),
  };
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of source) all.push(each);
  return all;
}

async function listed(commands: Queue, queueId = ''): Promise<QueueItem[]> {
  return (await collect(commands.list({ queueId }))).flat();
}

async function waiting(t: Situation): Promise<string[]> {
  const result = await t.queue.database.pool.query<{ address: Buffer }>(
    "select address from recipient where next_attempt > now() and next_attempt < 'infinity' order by address",
  );
  return result.rows.map(({ address }) => address.toString());
}

test('an empty queue', async () => {
  await using t = await situation();
  assert.deepEqual(await listed(t.commands), []);
  assert.deepEqual(await t.commands.flush({ queueId: '', site: '' }), { count: 0 });
  assert.deepEqual(await t.commands.delete({ queueIds: [], all: true }), { count: 0 });
});

test('messages are listed in order of arrival, with their queue, sender and what delays them', async () => {
  await using t = await situation();
  await t.queue.add({
    recipients: [
      { address: 'a@example.org', deferred: 'mailbox full' },
      { address: 'b c@example.org', deferred: 'x' },
    ],
  });
  await t.queue.add({
    recipients: [{ address: 'a@example.org', deferred: 'x' }, { address: 'b@example.org' }],
    envelope: { sender: '' },
  });
  await t.queue.add({
    recipients: [{ address: 'a@example.org' }],
    hold: true,
    envelope: { sender: 'd"e@example.com' },
  });
  await t.queue.add({ recipients: [{ address: 'a@example.org', done: true }] });
  const items = await listed(t.commands);
  assert.deepEqual(items[0], {
    queueName: 'deferred',
    queueId: '4Test00001zABC',
    arrivalTime: Date.UTC(2026, 10, 22, 14, 7, 36) / 1000,
    messageSize: 21,
    forcedExpire: false,
    sender: 'sender@example.com',
    recipients: [
      { address: 'a@example.org', delayReason: 'mailbox full' },
      { address: '"b c"@example.org', delayReason: 'x' },
    ],
  });
  assert.deepEqual(
    items.map(({ queueName, sender, recipients }) => [queueName, sender, recipients.length]),
    [
      ['deferred', 'sender@example.com', 2],
      ['active', 'MAILER-DAEMON', 2],
      ['hold', '"d\\"e"@example.com', 1],
      ['active', 'sender@example.com', 0],
    ],
  );
  assert.deepEqual(await listed(t.commands, '4Test00003zABC'), [items[2]]);
});

test('a long queue and a message with many recipients come in bounded pages and nothing is missed', async () => {
  await using t = await situation();
  const { log } = await t.queue.add({ recipients: [{ address: 'first@example.org' }] });
  await t.queue.database.pool.query(
    `insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size)
     select $1, 1000 + n / 7, n % 7, 0, 1, 'Q' || n, '\\x', now(), 1 from generate_series(0, 999) n`,
    [log],
  );
  await t.queue.database.pool.query(
    `insert into recipient (log, sequence, entry, recipient, shard, address, transport, nexthop)
     select $1, 1, 0, n, 0, convert_to('r' || n || '@example.org', 'UTF8'), 'smtp', '' from generate_series(1, 1300) n`,
    [log],
  );
  const pages = await collect(t.commands.list({ queueId: '' }));
  assert.ok(pages.every((page) => page.length <= 500));
  assert.ok(pages.every((page) => page.every(({ recipients }) => recipients.length <= 100)));
  const items = pages.flat();
  assert.equal(new Set(items.map(({ queueId }) => queueId)).size, 1001);
  assert.equal(
    items.filter(({ queueId }) => queueId.startsWith('4Test')).flatMap(({ recipients }) => recipients).length,
    1301,
  );
});

const FLUSHES = [
  { what: 'everything', request: { queueId: '', site: '' }, left: [] },
  {
    what: 'one message',
    request: { queueId: '4Test00002zABC', site: '' },
    left: ['a@Example.ORG', 'b@sub.example.org'],
  },
  { what: 'one site', request: { queueId: '', site: 'example.org' }, left: ['b@sub.example.org', 'c@example.net'] },
  {
    what: 'a site with a pattern character',
    request: { queueId: '', site: 'ex%' },
    left: ['a@Example.ORG', 'b@sub.example.org', 'c@example.net'],
  },
];
for (const { what, request, left } of FLUSHES) {
  test(`flushing ${what} makes deferred recipients due and leaves held and active ones alone`, async () => {
    await using t = await situation();
    await t.queue.add({
      recipients: [
        { address: 'a@Example.ORG', deferred: 'x' },
        { address: 'b@sub.example.org', deferred: 'x' },
      ],
    });
    await t.queue.add({ recipients: [{ address: 'c@example.net', deferred: 'x' }, { address: 'd@example.org' }] });
    await t.queue.add({ recipients: [{ address: 'e@example.org', deferred: 'x' }], hold: true });
    await using listener = await t.queue.listen();
    const { count } = await t.commands.flush(request);
    assert.equal(count, 3 - left.length);
    assert.deepEqual(await waiting(t), left);
    assert.deepEqual(await listener.heard(), count > 0 ? ['flush'] : []);
    const rows = await t.queue.database.pool.query("select 1 from recipient where next_attempt = 'infinity'");
    assert.equal(rows.rowCount, 2);
  });
}

test('deleting removes the rows of a message, tells qmgr and logs it', async () => {
  await using t = await situation();
  const { queueId } = await t.queue.add({ recipients: [{ address: 'a@example.org' }, { address: 'b@example.org' }] });
  const other = await t.queue.add({ recipients: [{ address: 'c@example.org' }] });
  await using listener = await t.queue.listen();
  const request = { queueIds: [queueId, 'NOSUCHID', "x'; drop table message"], all: false };
  assert.deepEqual(await t.commands.delete(request), { count: 1 });
  assert.deepEqual(
    (await listed(t.commands)).map((item) => item.queueId),
    [other.queueId],
  );
  assert.equal((await t.queue.database.pool.query('select 1 from recipient')).rowCount, 1);
  assert.deepEqual(await listener.heard(), [`delete ${queueId}`]);
  assert.deepEqual(t.lines, [`${queueId}: removed`]);
});

test('deleting all leaves what arrives meanwhile', async () => {
  await using t = await situation();
  const { log } = await t.queue.add({ recipients: [{ address: 'a@example.org' }] });
  await t.queue.database.pool.query(
    `insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size)
     select $1::int, 1000 + n, 0, 0, 1, 'Q' || n, '\\x'::bytea, '2026-01-01'::timestamptz, 1 from generate_series(0, 1199) n
     union all select $1::int, 9999, 0, 0, 1, 'LATER', '\\x', now() + interval '1 hour', 1`,
    [log],
  );
  await t.queue.database.pool.query("update message set arrival_time = '2026-01-01' where queue_id like '4Test%'");
  assert.deepEqual(await t.commands.delete({ queueIds: [], all: true }), { count: 1201 });
  assert.deepEqual(
    (await listed(t.commands)).map((item) => item.queueId),
    ['LATER'],
  );
});

test('a message is read as it lies in the log', async () => {
  await using t = await situation();
  const content = Buffer.from('Subject: t\n\nh\xe4\0\n', 'latin1');
  const { queueId } = await t.queue.add({ recipients: [{ address: 'a@example.org' }], content });
  const [first, ...rest] = await collect(t.commands.read({ queueId }));
  assert.equal(Envelope.decode(first!.envelope).recipients[0]!.address, 'a@example.org');
  assert.deepEqual(Buffer.concat(rest.map((part) => part.content)), content);
  assert.deepEqual(await collect(t.commands.read({ queueId: 'NOSUCH' })), []);
});

async function attempts(t: Situation): Promise<string[]> {
  const { rows } = await t.queue.database.pool.query<{ state: string }>(
    `select encode(address, 'escape') || ' ' || case when next_attempt = 'infinity' then 'not tried' when next_attempt <= now() then 'due' else 'later' end as state
       from recipient order by address`,
  );
  return rows.map(({ state }) => state);
}

test('what is put on hold is tried no more until it is released, and qmgr hears of it', async () => {
  await using t = await situation();
  const { queueId } = await t.queue.add({
    recipients: [{ address: 'a@example.org', deferred: 'x' }, { address: 'b@example.org' }],
  });
  await using listener = await t.queue.listen();
  const hold = { change: QueueChange.HOLD, queueIds: [queueId, 'NOSUCH', '../x'] };
  assert.deepEqual(await t.commands.change(hold), { queueIds: [queueId] });
  assert.deepEqual(await t.commands.change(hold), { queueIds: [] });
  assert.deepEqual(await attempts(t), ['a@example.org not tried', 'b@example.org not tried']);
  assert.equal((await listed(t.commands))[0]?.queueName, 'hold');
  assert.deepEqual(await t.commands.flush({ queueId: '', site: '' }), { count: 0 });
  assert.deepEqual(await t.commands.change({ change: QueueChange.RELEASE, queueIds: [queueId] }), {
    queueIds: [queueId],
  });
  assert.deepEqual(await attempts(t), ['a@example.org due', 'b@example.org due']);
  assert.deepEqual(await listener.heard(), [`delete ${queueId}`, 'flush']);
  assert.deepEqual(
    t.lines.map((line) => line.replace(/^.*postsuper\S*: /, '')),
    [`${queueId}: placed on hold`, `${queueId}: released from hold`],
  );
});

test('a message is requeued with the recipients that are undone, as a new one, and only then goes', async () => {
  await using t = await situation();
  const { queueId, log, sequence } = await t.queue.add({
    recipients: [
      { address: 'a@example.org', done: true },
      { address: 'b@example.org', deferred: 'x' },
    ],
    hold: true,
    content: Buffer.from('Subject: again\n\nbody\n'),
  });
  t.cleanup.answer = SubmitStatus.WRITE_ERROR;
  const request = { change: QueueChange.REQUEUE, queueIds: [queueId] };
  assert.deepEqual(await t.commands.change(request), { queueIds: [] });
  assert.equal((await listed(t.commands))[0]?.queueName, 'hold');

  t.cleanup.answer = SubmitStatus.QUEUED;
  assert.deepEqual(await t.commands.change(request), { queueIds: [queueId] });
  assert.deepEqual(await listed(t.commands), []);
  const [first, second] = t.cleanup.requests;
  const { envelope, content, options } = second!;
  assert.deepEqual(
    envelope?.recipients.map(({ address }) => address),
    ['b@example.org'],
  );
  assert.equal(content.toString(), 'Subject: again\n\nbody\n');
  assert.notEqual(envelope?.queueId, queueId);
  assert.ok(Math.abs(envelope!.arrivalTime / 1000 - Date.now()) < 60_000);
  assert.equal(envelope?.idempotenceKey, `requeue:${queueId}:${log}:${sequence}:0`);
  assert.equal(first!.envelope?.idempotenceKey, envelope?.idempotenceKey);
  assert.deepEqual([options?.mapAddresses, options?.prependReceived], [true, false]);
});

test('a message that cannot be requeued, and was not on hold, is tried as before', async () => {
  await using t = await situation();
  const { queueId } = await t.queue.add({ recipients: [{ address: 'a@example.org', deferred: 'x' }] });
  t.cleanup.answer = SubmitStatus.NO_SPACE;
  assert.deepEqual(await t.commands.change({ change: QueueChange.REQUEUE, queueIds: [queueId] }), { queueIds: [] });
  assert.deepEqual(await attempts(t), ['a@example.org due']);
});

test('a store that is away is Unavailable', async () => {
  const lines: string[] = [];
  const context = {
    ...testContext({ mainCf: '', lines, name: 'showq' }),
    stores: {
      postgres: () => Promise.reject(new Error('connection refused')),
      nats: () => Promise.reject(new Error('connection refused')),
    },
  };
  const commands = createQueueCommands(context);
  await assert.rejects(listed(commands), Unavailable);
  await assert.rejects(commands.flush({ queueId: '', site: '' }), Unavailable);
  await assert.rejects(commands.delete({ queueIds: ['A'], all: false }), Unavailable);
});
