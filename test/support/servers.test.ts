import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '@nats-io/transport-node';
import { startNats } from './nats.ts';
import { createDatabase, startPostgres } from './postgres.ts';

test('two databases of one server have the schema and nothing in common', async () => {
  await using first = await createDatabase();
  await using second = await createDatabase();
  await first.pool.query("insert into submission_key (key, queue_id) values ('a', 'b')");
  const count = 'select count(*)::integer as count from submission_key';
  assert.equal((await first.pool.query(count)).rows[0].count, 1);
  assert.equal((await second.pool.query(count)).rows[0].count, 0);
});

test('a killed Postgres comes back on its port with what was committed', async () => {
  await using server = await startPostgres();
  await using database = await server.createDatabase();
  await database.pool.query("insert into submission_key (key, queue_id) values ('a', 'b')");
  await server.kill();
  await assert.rejects(database.pool.query('select 1'));
  await server.restart();
  assert.equal((await database.pool.query('select key from submission_key')).rows[0].key, 'a');
});

test('a killed NATS comes back on its ports and says that it syncs', async () => {
  await using server = await startNats();
  await server.kill();
  await assert.rejects(fetch(`${server.monitorUrl}/jsz`));
  await server.restart();
  const state = (await (await fetch(`${server.monitorUrl}/jsz`)).json()) as { config: { sync_always: boolean } };
  assert.equal(state.config.sync_always, true);
  const connection = await connect({ servers: server.url });
  await connection.close();
});
