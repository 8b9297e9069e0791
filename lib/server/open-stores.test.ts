import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDatabase } from '../../test/support/postgres.ts';
import { Configuration } from '../config/settings.ts';
import { createLog } from '../util/log.ts';
import { OpenStores } from './open-stores.ts';

test('Postgres ends a connection between two statements: the next one fails, and the process lives', async () => {
  await using database = await createDatabase();
  const environment = new Map([['postfleet_postgres_url', database.url]]);
  const log = createLog({ program: 'test', format: 'postfix', write: () => undefined });
  await using stores = new OpenStores(Configuration.fromText('', { environment }), log, new AbortController().signal);
  const pool = await stores.postgres();
  const client = await pool.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const ended = new Promise<void>((resolve) => client.once('end', resolve));
  try {
    // An error event that nobody hears would end this process.
    await database.pool.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
    await ended;
    await assert.rejects(client.query('select 1'));
  } finally {
    client.release();
  }
  assert.equal((await pool.query('select 1')).rowCount, 1);
});
