/** What a statement costs on a long queue that was prepared while it was empty. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PoolClient } from 'pg';
import { createDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import { activateDue, finishingMessages, nextDue } from './due.ts';
import { createShards, takeShards } from './lease.ts';
import { beginLog, logNumber } from './shard-log.ts';
import { deferRecipients, finishMessages, finishRecipients, finishSingle } from './status.ts';

const LONG = 20_000;
/** Rows that a statement for a few messages may look at. */
const FEW = 200;

let database: TestDatabase;
let client: PoolClient;
let epoch: number;
let log: number;

before(async () => {
  database = await createDatabase();
  client = await database.pool.connect();
  await createShards(client, 1);
  epoch = (await takeShards(client, 'qmgr', 60, 1))[0]!.epoch;
  log = await logNumber(client, 0, 'incoming', 'INCOMING_0', 'created');
  await beginLog(client, 0, epoch, log);
});
after(async () => {
  client.release();
  await database[Symbol.asyncDispose]();
});

const key = (sequence: number) => ({ log, sequence, entry: 0 });
const deferral = (sequence: number) => ({
  ...key(sequence),
  recipient: 0,
  delay: 3600,
  status: '4.0.0',
  reason: Buffer.from('later'),
  remoteMta: '',
  transport: 'smtp',
  nexthop: 'example.com',
});

const STATEMENTS: Readonly<Record<string, (sequence: number) => Promise<unknown>>> = {
  activateDue: () => activateDue(client, 0, epoch, 10),
  nextDue: () => nextDue(client, 0),
  deferRecipients: (sequence) => deferRecipients(client, 0, epoch, [deferral(sequence)]),
  finishSingle: (sequence) => finishSingle(client, [key(sequence + 1)]),
  finishRecipients: (sequence) => finishRecipients(client, [{ ...key(sequence + 2), recipient: 0 }]),
  finishingMessages: () => finishingMessages(client, 0, 10),
  finishMessages: (sequence) => finishMessages(client, [key(sequence + 2)]),
};

/** Rows and index entries of the two tables that this connection has read so far. */
async function looked(): Promise<number> {
  await client.query('select pg_stat_force_next_flush()');
  const { rows } = await client.query<{ n: number }>(
    `select sum(t.seq_tup_read + coalesce(t.idx_tup_fetch, 0))::int
            + (select sum(i.idx_tup_read)::int from pg_stat_user_indexes i where i.relname in ('message', 'recipient')) as n
       from pg_stat_user_tables t where t.relname in ('message', 'recipient')`,
  );
  return rows[0]!.n;
}

test('statements that were prepared on an empty queue look at no more rows on a long one', async () => {
  await client.query('vacuum analyze message, recipient');
  // After five times Postgres settles for one plan.
  for (let time = 0; time < 8; time++) for (const run of Object.values(STATEMENTS)) await run(1);
  await client.query(
    `insert into message (log, sequence, entry, shard, undone, queue_id, sender, arrival_time, size)
     select $1, at, 0, 0, 1, 'id' || at, '', now(), 1 from generate_series(1, $2::int) at`,
    [log, LONG],
  );
  await client.query(
    `insert into recipient (log, sequence, entry, recipient, shard, next_attempt, address, transport, nexthop)
     select $1, at, 0, 0, 0, case when at <= 3 then now() else now() + interval '1 hour' end, '', 'smtp', 'example.com'
       from generate_series(1, $2::int) at`,
    [log, LONG],
  );
  for (const [name, run] of Object.entries(STATEMENTS)) {
    const earlier = await looked();
    await run(LONG / 2);
    const rows = (await looked()) - earlier;
    assert.ok(rows < FEW, `${name} looked at ${rows} rows`);
  }
});
