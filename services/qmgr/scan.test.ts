/** Messages that cannot be read, on arrival or when they are due, are held back or set aside alone: the mail beside them goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusNotification } from '../../lib/clients/protocols.ts';
import { ContentGone, ContentMissing, purgeContent } from '../../lib/queue/content.ts';
import { reclaimActive } from '../../lib/queue/sql/due.ts';
import { NO_TRACING } from '../../lib/server/tracing.ts';
import { readFrames } from './arrival.ts';
import type { Admission } from './message.ts';
import { LargeEntry, scanDue } from './scan.ts';
import { rewriteForTests, type TestStores, testStores } from './stores-for-tests.ts';

const many = Array.from({ length: 20 }, (_, at) => `r${at}@example.com`);
const one = (queueId: string) => ({ queueId, recipients: [{ address: 'r@example.com' }] });

const corrupt = async (stores: TestStores): Promise<{ sequence: number; reason: string }[]> =>
  (await stores.pool.query('select sequence, reason from corrupt order by sequence')).rows;

/** What a scan brings in of all that is due, by queue id. */
async function scan(stores: TestStores): Promise<string[]> {
  await reclaimActive(stores.pool, stores.shard, stores.epoch, []);
  const admitted: Admission[] = [];
  const context = { ...stores, rewrite: rewriteForTests, tracing: NO_TRACING, large: new LargeEntry() };
  await scanDue(context, 1000, (admissions) => admitted.push(...admissions));
  return admitted.map(({ message }) => message.envelope.queueId).sort();
}

test('an arrival whose envelope is lost is set aside, and its neighbours get rows', async () => {
  await using stores = await testStores();
  await stores.append(one('before'));
  const subject = await stores.appendStub('lost', many);
  await stores.append(one('after'));
  await purgeContent(stores.nats, subject);
  assert.deepEqual(await stores.apply(), ['before', 'after']);
  const [row, ...others] = await corrupt(stores);
  assert.deepEqual(others, []);
  assert.equal(row?.sequence, 2);
  assert.match(row?.reason ?? '', /the envelope of lost: .*chunk 0 of 1/);
});

test('an arrival whose envelope cannot be had at present waits: nothing is set aside', async () => {
  await using stores = await testStores();
  const subject = await stores.appendStub('later', many);
  const message = await stores.nats.manager.streams.getMessage('INCOMING_0', { seq: 1 });
  const frames = [{ sequence: 1, bytes: Buffer.from(message!.data) }];
  const away = async () => Promise.reject(new ContentMissing(`content ${subject} cannot be read: no answer`));
  await assert.rejects(readFrames({ ...stores.arrivalContext, readEnvelope: away }, frames), ContentMissing);
  const gone = async () => Promise.reject(new ContentGone('gone'));
  assert.equal((await readFrames({ ...stores.arrivalContext, readEnvelope: gone }, frames)).corrupt.length, 1);
});

test('a deferred message whose envelope is lost is held back and set aside, and the others come in', async () => {
  await using stores = await testStores();
  await stores.append(one('before'));
  const subject = await stores.appendStub('lost', many);
  await stores.append(one('after'));
  await stores.apply();
  assert.deepEqual(await scan(stores), ['after', 'before', 'lost']);
  await purgeContent(stores.nats, subject);
  assert.deepEqual(await scan(stores), ['after', 'before']);
  assert.deepEqual(
    (await corrupt(stores)).map(({ sequence }) => sequence),
    [2],
  );
  assert.ok(stores.lines.some((line) => line.startsWith('lost: set aside as corrupt: ')));
  // Its rows stay, for whoever brings the chunks back.
  const { rows } = await stores.pool.query(
    `select count(*)::int as n from recipient where sequence = 2 and next_attempt between now() and now() + interval '1 hour'`,
  );
  assert.equal(rows[0].n, many.length);
});

test('a message that is forced to expire goes to no destination, with the reasons of its last attempts', async () => {
  await using stores = await testStores();
  await stores.append({
    queueId: 'forced',
    recipients: [{ address: 'tried@example.com' }, { address: 'not@example.com' }],
  });
  await stores.append(one('other'));
  await stores.apply();
  await stores.pool.query(`update message set forced_expire = true where queue_id = 'forced'`);
  await stores.pool.query(
    `update recipient set attempts = 2, status = '4.2.2', reason = 'mailbox full', remote_mta = 'mx.example.com'
      where sequence = 1 and recipient = 0`,
  );
  await reclaimActive(stores.pool, stores.shard, stores.epoch, []);
  const admitted: Admission[] = [];
  const context = { ...stores, rewrite: rewriteForTests, tracing: NO_TRACING, large: new LargeEntry() };
  await scanDue(context, 1000, (admissions) => admitted.push(...admissions));
  const forced = admitted.find(({ message }) => message.envelope.queueId === 'forced')!;
  assert.deepEqual(
    forced.recipients.map(({ resolved }) => [resolved.transport, resolved.nexthop]),
    [
      ['retry', ''],
      ['retry', '4.7.0 message is administratively expired'],
    ],
  );
  const [[offset, notification], ...more] = [...forced.message.forcedExpire!] as [[number, StatusNotification]];
  assert.deepEqual(more, []);
  const { status, reason, remoteMta } = notification;
  assert.deepEqual([offset, status, reason, remoteMta], [0, '4.2.2', 'mailbox full', 'mx.example.com']);
  assert.equal(admitted.find(({ message }) => message.envelope.queueId === 'other')!.message.forcedExpire, undefined);
});

test('a row of a qmgr that did not write where the envelope is learns it at the next attempt', async () => {
  await using stores = await testStores();
  const subject = await stores.appendStub('old', many);
  await stores.apply();
  await stores.pool.query('update message set envelope_subject = null');
  assert.deepEqual(await scan(stores), ['old']);
  assert.equal((await stores.pool.query('select envelope_subject from message')).rows[0].envelope_subject, subject);
});

test('a row whose place in the log holds another message is held back, and that message is not delivered for it', async () => {
  await using stores = await testStores();
  await stores.append(one('there'));
  await stores.append(one('whole'));
  await stores.apply();
  await stores.pool.query(`update message set queue_id = 'elsewhere' where queue_id = 'there'`);
  assert.deepEqual(await scan(stores), ['whole']);
  assert.ok(stores.lines.some((line) => line.startsWith('elsewhere: its content is not in the log')));
});
