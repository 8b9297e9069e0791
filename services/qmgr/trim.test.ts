/** What the logs keep and what goes: the grace, entries that are copied forward, and the cleaning of the deferred log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { purgeContent } from '../../lib/queue/content.ts';
import type { MessageKey } from '../../lib/queue/message-key.ts';
import { currentLocation } from '../../lib/queue/sql/due.ts';
import { type TestStores, testStores } from './stores-for-tests.ts';
import { GraceClock, Trimmer } from './trim.ts';

const RECIPIENTS = [{ address: 'r@example.com' }];
const LARGE = Buffer.alloc(100 * 1024, 'x');

const trimmerOf = (stores: TestStores, grace: { graceSeconds?: number; graceBytes?: number } = {}): Trimmer =>
  new Trimmer({ ...stores, settings: { graceSeconds: 0, graceBytes: 2 ** 40, ...grace } }, 0);

const stateOf = async (stores: TestStores, stream: string) => (await stores.nats.manager.streams.info(stream)).state;

/** Appends so many messages, gives them rows, and lets a trimmer move all of them to the deferred log. */
async function defer(stores: TestStores, count: number, append: (at: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at++) await append(at);
  await stores.apply();
  const trimmer = trimmerOf(stores);
  trimmer.applied(count, count * LARGE.length);
  await trimmer.round();
}

/** A round of the next owner, who has not measured the log yet. */
const cleaned = (stores: TestStores): Promise<void> => trimmerOf(stores).round();

const keep = (stores: TestStores, queueIds: readonly string[]) =>
  stores.pool.query('delete from message where queue_id <> all($1::text[])', [queueIds]);

/** The content of every message that has a row, read where its row says. */
async function contents(stores: TestStores): Promise<Map<string, number>> {
  const { rows } = await stores.pool.query<MessageKey & { queue_id: string }>(
    'select log, sequence, entry, queue_id from message',
  );
  const found = new Map<string, number>();
  for (const row of rows) {
    const at = (await currentLocation(stores.pool, row))!;
    const stored = await stores.entries.readBytes({ stream: (await stores.streamOf(at.log))!, ...at });
    found.set(row.queue_id, stored?.content.length ?? -1);
  }
  return found;
}

const graces: [name: string, now: number, graceMs: number, graceOctets: number, octetsNow: number, below: number][] = [
  ['nothing is older than the grace', 900, 1000, 1000, 30, 0],
  ['what the log had reached a grace ago is below it', 1000, 1000, 1000, 30, 6],
  ['all of it when all is old', 9000, 1000, 1000, 30, 8],
  ['what lies more octets back than the grace may hold', 700, 1000, 20, 30, 6],
];
for (const [name, now, graceMs, graceOctets, octetsNow, below] of graces) {
  test(`grace: ${name}`, () => {
    const clock = new GraceClock();
    clock.mark(0, 5, 10);
    // Neither the same sequence again nor a moment later makes a mark.
    clock.mark(550, 5, 10);
    clock.mark(100, 6, 20);
    clock.mark(600, 7, 20);
    assert.equal(clock.below(now, graceMs, graceOctets, octetsNow), below);
  });
}

test('an incoming log keeps what is within the grace, and then only what is undone, which moves', async () => {
  await using stores = await testStores();
  for (const queueId of ['done', 'deferred', 'done too']) await stores.append({ queueId, recipients: RECIPIENTS });
  await stores.apply();
  await keep(stores, ['deferred']);
  const patient = trimmerOf(stores, { graceSeconds: 600 });
  patient.applied(3, 300);
  await patient.round();
  assert.equal((await stateOf(stores, 'INCOMING_0')).messages, 3);
  const trimmer = trimmerOf(stores);
  trimmer.applied(3, 300);
  await trimmer.round();
  assert.equal((await stateOf(stores, 'INCOMING_0')).messages, 0);
  assert.equal((await stateOf(stores, 'DEFERRED_0')).messages, 1);
  assert.deepEqual(await contents(stores), new Map([['deferred', 1]]));
});

test('an entry whose envelope is lost is copied forward as it is, and does not hold up the log', async () => {
  await using stores = await testStores();
  const subject = await stores.appendStub('lost', ['a@example.com', 'b@example.com']);
  await stores.append({ queueId: 'whole', recipients: RECIPIENTS });
  await stores.apply();
  await purgeContent(stores.nats, subject);
  const trimmer = trimmerOf(stores);
  trimmer.applied(2, 300);
  await trimmer.round();
  assert.equal((await stateOf(stores, 'INCOMING_0')).messages, 0);
  assert.deepEqual(
    await contents(stores),
    new Map([
      ['lost', 1],
      ['whole', 1],
    ]),
  );
});

test('one old survivor at the head of a deferred log with few others does not keep it from being cleaned', async () => {
  await using stores = await testStores();
  await defer(stores, 60, (at) => stores.append({ queueId: `m${at}`, recipients: RECIPIENTS }, LARGE));
  assert.ok((await stateOf(stores, 'DEFERRED_0')).bytes > 60 * LARGE.length);
  await keep(stores, ['m0', 'm30', 'm59']);
  await cleaned(stores);
  const { bytes } = await stateOf(stores, 'DEFERRED_0');
  assert.ok(bytes < 4 * LARGE.length, `${bytes} octets for three messages`);
  assert.deepEqual([...(await contents(stores)).values()], [LARGE.length, LARGE.length, LARGE.length]);
});

test('a deferred log without survivors is emptied', async () => {
  await using stores = await testStores();
  await defer(stores, 60, (at) => stores.append({ queueId: `m${at}`, recipients: RECIPIENTS }, LARGE));
  await keep(stores, []);
  await cleaned(stores);
  assert.equal((await stateOf(stores, 'DEFERRED_0')).messages, 0);
});

test('a deferred log that is all live is not copied again, though the content of its messages lies in chunks', async () => {
  await using stores = await testStores();
  const contentReference = { subject: 'elsewhere', firstSequence: 1, chunks: 1, size: 1, checksum: 0 };
  const messageId = 'i'.repeat(LARGE.length);
  const chunked = (at: number) =>
    stores.append({ queueId: `m${at}`, recipients: RECIPIENTS, contentReference, messageId }, Buffer.alloc(0));
  await defer(stores, 60, chunked);
  const before = await stateOf(stores, 'DEFERRED_0');
  assert.ok(before.bytes > 60 * LARGE.length);
  await cleaned(stores);
  assert.equal((await stateOf(stores, 'DEFERRED_0')).last_seq, before.last_seq);
});

test('rows that name entries which a deferred log has lost do not keep it from being cleaned', async () => {
  await using stores = await testStores();
  await defer(stores, 60, (at) => stores.append({ queueId: `m${at}`, recipients: RECIPIENTS }, LARGE));
  const { last_seq } = await stateOf(stores, 'DEFERRED_0');
  await stores.nats.manager.streams.purge('DEFERRED_0', { seq: 2 });
  await stores.pool.query('delete from message where at_sequence between 2 and $1', [last_seq - 1]);
  await cleaned(stores);
  const found = [...(await contents(stores)).values()];
  assert.ok(found.includes(-1) && found.includes(LARGE.length));
  const { bytes } = await stateOf(stores, 'DEFERRED_0');
  assert.ok(bytes < 2 * found.length * LARGE.length, `${bytes} octets for ${found.length} messages`);
  assert.ok((await stateOf(stores, 'DEFERRED_0')).first_seq >= last_seq);
});
