/** Messages that cannot be read, on arrival or when they are due, are held back or set aside alone: the mail beside them goes on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
