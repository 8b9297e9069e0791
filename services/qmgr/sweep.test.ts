/** Which chunks of the CONTENT stream are swept, and which stay because mail refers to them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ContentWriter } from '../../lib/queue/content.ts';
import { createShards } from '../../lib/queue/sql/lease.ts';
import { CONTENT_STREAM, contentSubject } from '../../lib/queue/streams.ts';
import { type TestStores, testStores } from './stores-for-tests.ts';
import { sweepContent, sweepSubmissionKeys } from './sweep.ts';

const many = Array.from({ length: 20 }, (_, at) => `r${at}@example.com`);

async function writeContent(stores: TestStores) {
  const writer = new ContentWriter(stores.nats);
  await writer.write(Buffer.from('large content'));
  return writer.finish();
}

async function chunks(stores: TestStores, subject: string): Promise<number> {
  const filter = contentSubject(subject);
  const { state } = await stores.nats.manager.streams.info(CONTENT_STREAM, { subjects_filter: filter });
  return state.subjects?.[filter] ?? 0;
}

/** As if the day that makes chunks old had passed: younger than a second from now is old. */
const sweep = (stores: TestStores, shards = 1) => sweepContent({ ...stores, shards }, -1000);

test('chunks that no message refers to are swept', async () => {
  await using stores = await testStores();
  const given = await writeContent(stores);
  assert.equal(await sweep(stores), 1);
  assert.equal(await chunks(stores, given.subject), 0);
});

test('chunks that are younger than a day stay', async () => {
  await using stores = await testStores();
  const given = await writeContent(stores);
  assert.equal(await sweepContent({ ...stores, shards: 1 }), 0);
  assert.equal(await chunks(stores, given.subject), 1);
});

test('the chunks of content and of an envelope stay while their message is undone', async () => {
  await using stores = await testStores();
  const contentReference = await writeContent(stores);
  await stores.append({ queueId: 'large', recipients: [{ address: 'r@example.com' }], contentReference });
  const envelope = await stores.appendStub('many', many);
  assert.deepEqual(await stores.apply(), ['large', 'many']);
  assert.equal(await sweep(stores), 0);
  await stores.pool.query('delete from message');
  assert.equal(await sweep(stores), 2);
  assert.equal(await chunks(stores, envelope), 0);
});

test('a frame that has no rows yet keeps the chunks that it refers to, whichever shard has stopped', async () => {
  await using stores = await testStores(2);
  const contentReference = await writeContent(stores);
  const message = { queueId: 'waits', recipients: [{ address: 'r@example.com' }], contentReference };
  await stores.append(message, Buffer.alloc(0), 1);
  assert.equal(await sweep(stores, 2), 0);
  assert.equal(await chunks(stores, contentReference.subject), 1);
});

test('a shard whose log was made anew has applied nothing of it', async () => {
  await using stores = await testStores(2);
  await createShards(stores.pool, 2);
  const contentReference = await writeContent(stores);
  const message = { queueId: 'waits', recipients: [{ address: 'r@example.com' }], contentReference };
  await stores.append(message, Buffer.alloc(0), 1);
  await stores.pool.query(
    `with other as (insert into log (shard, kind, stream, created) values (1, 'incoming', 'INCOMING_1', 'before') returning log)
     update shard set incoming_log = other.log, applied_sequence = 1 from other where shard = 1`,
  );
  assert.equal(await sweep(stores, 2), 0);
  // Of the log that is there, all is applied.
  const { created } = await stores.nats.manager.streams.info('INCOMING_1');
  await stores.pool.query(`update log set created = $1 where stream = 'INCOMING_1'`, [created]);
  assert.equal(await sweep(stores, 2), 1);
});

test('the key of a submission is known for the lifetime of mail and thirty days more, and then forgotten', async () => {
  await using stores = await testStores();
  const day = 24 * 3600;
  await stores.pool.query(
    `insert into submission_key (key, queue_id, created_at)
     select 'old:' || n, 'q', now() - interval '36 days' from generate_series(1, 12000) n
     union all select 'young', 'q', now() - interval '34 days'`,
  );
  assert.equal(await sweepSubmissionKeys(stores, 5 * day), 12_000);
  assert.deepEqual((await stores.pool.query('select key from submission_key')).rows, [{ key: 'young' }]);
});
