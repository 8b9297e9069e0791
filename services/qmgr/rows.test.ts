/** The statements of the queue against a real Postgres: what happens once, who may write, and what is left. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { activateDue, finishingMessages, reclaimActive } from '../../lib/queue/sql/due.ts';
import { claimSubmissionKeys, type IngestBatch, ingest } from '../../lib/queue/sql/ingest.ts';
import { createShards, releaseShards, renewLeases, takeShards } from '../../lib/queue/sql/lease.ts';
import { beginLog, logNumber, shardPosition } from '../../lib/queue/sql/shard-log.ts';
import { deferRecipients, finishMessages, finishRecipients, finishSingle } from '../../lib/queue/sql/status.ts';
import { firstUnmoved, relocate, unmovedBelow } from '../../lib/queue/sql/trim.ts';
import { createDatabase, type TestDatabase } from '../../test/support/postgres.ts';

let database: TestDatabase;
let epoch: number;
let log: number;

before(async () => {
  database = await createDatabase();
});
after(async () => {
  await database[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await database.pool.query(
    'truncate message, recipient, bounce_log, submission_key, shard, shard_owner, log restart identity cascade',
  );
  await createShards(database.pool, 2);
  const [taken] = await takeShards(database.pool, 'qmgr-a', 60, 1);
  epoch = taken!.epoch;
  log = await logNumber(database.pool, 0, 'incoming', 'INCOMING_0', 'created');
  await beginLog(database.pool, 0, epoch, log);
});

/** `recipients` messages' recipient counts, at sequences after `from`. */
function batch(from: number, recipients: readonly number[], overrides: Partial<IngestBatch> = {}): IngestBatch {
  return {
    shard: 0,
    epoch,
    log,
    from,
    to: from + recipients.length,
    lastFrame: 'frame',
    messages: recipients.map((count, at) => ({
      sequence: from + 1 + at,
      entry: 0,
      undone: count,
      queueId: `id${from + 1 + at}`,
      sender: 'a@example.com',
      arrivalTime: 1_700_000_000,
      size: 100,
      hold: false,
      contentSubject: null,
      envelopeSubject: null,
    })),
    recipients: recipients.flatMap((count, message) =>
      Array.from({ length: count }, (_, recipient) => ({
        message,
        recipient,
        shard: 0,
        due: false,
        address: `r${recipient}@example.com`,
        transport: 'smtp',
        nexthop: 'example.com',
      })),
    ),
    ...overrides,
  };
}

const key = (sequence: number) => ({ log, sequence, entry: 0 });
const count = async (table: string): Promise<number> =>
  (await database.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`)).rows[0]!.n;

test('a batch is applied once, however often it is offered', async () => {
  assert.equal(await ingest(database.pool, batch(0, [1, 3])), true);
  assert.equal(await ingest(database.pool, batch(0, [1, 3])), false);
  assert.equal(await count('message'), 2);
  assert.equal(await count('recipient'), 4);
  assert.equal((await shardPosition(database.pool, 0))?.appliedSequence, 2);
});

test('an owner that has lost its shard applies nothing, defers nothing and activates nothing, but its facts count', async () => {
  await ingest(database.pool, batch(0, [1, 1]));
  await releaseShards(database.pool, 'qmgr-a', [0]);
  const [next] = await takeShards(database.pool, 'qmgr-b', 60, 1);
  assert.equal(next?.epoch, epoch + 1);
  assert.equal(await ingest(database.pool, batch(2, [1])), false);
  const deferral = {
    ...key(1),
    recipient: 0,
    delay: 0,
    status: '4.0.0',
    reason: Buffer.from('x'),
    remoteMta: '',
    transport: 'smtp',
    nexthop: 'x',
  };
  assert.equal(await deferRecipients(database.pool, 0, epoch, [deferral]), 0);
  assert.deepEqual(await activateDue(database.pool, 0, epoch, 10), []);
  await finishSingle(database.pool, [key(1)]);
  assert.equal(await count('message'), 1);
});

test('what the former owner had active is due at once for the next, except what is in memory already', async () => {
  await ingest(database.pool, batch(0, [1, 1, 1]));
  assert.deepEqual(await activateDue(database.pool, 0, epoch, 10), []);
  assert.equal(await reclaimActive(database.pool, 0, epoch, [key(2)]), 2);
  const due = await activateDue(database.pool, 0, epoch, 10);
  assert.deepEqual(due.map(({ sequence }) => sequence).sort(), [1, 3]);
  assert.deepEqual(await activateDue(database.pool, 0, epoch, 10), []);
});

test('a message with several recipients is finished by whoever brings the last one, and only once', async () => {
  await ingest(database.pool, batch(0, [3]));
  const recipient = (n: number) => ({ ...key(1), recipient: n });
  assert.deepEqual(await finishRecipients(database.pool, [recipient(0)]), []);
  const both = await Promise.all([
    finishRecipients(database.pool, [recipient(1)]),
    finishRecipients(database.pool, [recipient(2)]),
  ]);
  assert.deepEqual(both.flat(), [key(1)]);
  // A fact that is told again changes nothing.
  assert.deepEqual(await finishRecipients(database.pool, [recipient(2)]), []);
  assert.deepEqual(
    (await finishingMessages(database.pool, 0, 10)).map(({ queueId }) => queueId),
    ['id1'],
  );
  await finishMessages(database.pool, [key(1)]);
  assert.equal(await count('message'), 0);
});

test('rows of messages with undone recipients do not go, whatever is asked', async () => {
  await ingest(database.pool, batch(0, [2]));
  await finishMessages(database.pool, [key(1)]);
  assert.equal(await count('message'), 1);
});

test('a submission key is claimed once', async () => {
  const claim = [
    { key: 'notice:1', queueId: 'a' },
    { key: 'notice:1', queueId: 'b' },
    { key: 'notice:2', queueId: 'c' },
  ];
  assert.deepEqual([...(await claimSubmissionKeys(database.pool, claim))].sort(), ['notice:1', 'notice:2']);
  assert.deepEqual([...(await claimSubmissionKeys(database.pool, claim))], []);
});

test('the floor is the first entry that is undone and has not moved', async () => {
  await ingest(database.pool, batch(0, [1, 1, 1, 1]));
  assert.equal(await firstUnmoved(database.pool, log, 0), 1);
  await finishSingle(database.pool, [key(1)]);
  const deferred = await logNumber(database.pool, 0, 'deferred', 'DEFERRED_0', 'created');
  const [second] = await unmovedBelow(database.pool, log, 0, 3, 10);
  assert.equal(second?.sequence, 2);
  const to = { log: deferred, sequence: 9, entry: 4 };
  assert.equal(await relocate(database.pool, 0, epoch, [{ from: second!, to, octets: 10 }]), true);
  assert.equal(await firstUnmoved(database.pool, log, 0), 3);
  // The row is not where the move thinks it is any more: nothing happens.
  await relocate(database.pool, 0, epoch, [
    { from: second!, to: { log: deferred, sequence: 99, entry: 0 }, octets: 10 },
  ]);
  // An owner that has lost the shard moves nothing: the next may have purged its copy.
  const [third] = await unmovedBelow(database.pool, log, 0, 4, 10);
  assert.equal(await relocate(database.pool, 0, epoch - 1, [{ from: third!, to, octets: 10 }]), false);
  assert.equal(await firstUnmoved(database.pool, log, 0), 3);
  await reclaimActive(database.pool, 0, epoch, []);
  const due = await activateDue(database.pool, 0, epoch, 10);
  assert.deepEqual(due.find(({ sequence }) => sequence === 2)?.at, { log: deferred, sequence: 9, entry: 4 });
});

test('a lease is renewed by its owner, and free for others only when it has run out', async () => {
  const { held, others } = await renewLeases(database.pool, 'qmgr-a', 60);
  assert.deepEqual(held, [{ shard: 0, epoch }]);
  assert.deepEqual(others, []);
  assert.deepEqual(
    (await takeShards(database.pool, 'qmgr-b', 60, 5)).map(({ shard }) => shard),
    [1],
  );
  await database.pool.query(`update shard set lease_until = now() - interval '1 second' where shard = 0`);
  assert.deepEqual((await renewLeases(database.pool, 'qmgr-a', 60)).held, []);
  assert.deepEqual(
    (await takeShards(database.pool, 'qmgr-b', 60, 5)).map(({ shard }) => shard),
    [0],
  );
});

test('two statements that finish recipients of the same messages in opposite orders do not lock each other out', async () => {
  const messages = 40;
  await ingest(
    database.pool,
    batch(
      0,
      Array.from({ length: messages }, () => 2),
    ),
  );
  const side = (recipient: number, order: 1 | -1) =>
    Array.from({ length: messages }, (_, at) => ({ ...key(at + 1), recipient })).sort(
      (a, b) => order * (a.sequence - b.sequence),
    );
  const finished = await Promise.all([
    finishRecipients(database.pool, side(0, 1)),
    finishRecipients(database.pool, side(1, -1)),
  ]);
  assert.equal(finished.flat().length, messages);
});

test('a renewal says which other owners that live hold how many shards', async () => {
  await createShards(database.pool, 3);
  await renewLeases(database.pool, 'qmgr-b', 60);
  await renewLeases(database.pool, 'qmgr-gone', 0);
  const { held, others } = await renewLeases(database.pool, 'qmgr-a', 60);
  assert.deepEqual(held, [{ shard: 0, epoch }]);
  assert.deepEqual(others, [{ owner: 'qmgr-b', shards: 0 }]);
  await takeShards(database.pool, 'qmgr-b', 60, 2);
  assert.deepEqual((await renewLeases(database.pool, 'qmgr-a', 60)).others, [{ owner: 'qmgr-b', shards: 2 }]);
  await releaseShards(database.pool, 'qmgr-b', undefined);
  assert.deepEqual((await renewLeases(database.pool, 'qmgr-b', 60)).held, []);
});

test('100,000 recipients of one message are put off and finished in seconds, whatever is known of the table', async () => {
  const total = 100_000;
  // Plans that were made while there was next to nothing are what a quiet server has.
  await ingest(database.pool, batch(0, [1, 2]));
  for (let at = 0; at < 8; at++) await finishRecipients(database.pool, [{ ...key(9), recipient: at }]);
  await ingest(database.pool, batch(2, [total]));
  const keys = Array.from({ length: total }, (_, recipient) => ({ ...key(3), recipient }));
  const began = performance.now();
  for (let from = 0; from < 20_000; from += 5000) {
    const rows = keys.slice(from, from + 5000).map((recipient) => ({
      ...recipient,
      delay: 0,
      status: '4.0.0',
      reason: Buffer.from('later'),
      remoteMta: '',
      transport: 'smtp',
      nexthop: 'example.com',
    }));
    assert.equal(await deferRecipients(database.pool, 0, epoch, rows), 5000);
  }
  let finished: unknown[] = [];
  for (let from = 0; from < total; from += 5000)
    finished = await finishRecipients(database.pool, keys.slice(from, from + 5000));
  assert.deepEqual(finished, [key(3)]);
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds < 20, `${seconds} s`);
});
