import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JetStreamApiError } from '@nats-io/jetstream';
import { FatalError, PanicError } from '../../lib/util/errors.ts';
import { asking, StoreAway, StoreConnections } from './store-connections.ts';

const failing = (store: 'NATS' | 'Postgres', error: unknown): Promise<unknown> =>
  asking(store, () => Promise.reject(error)).catch((thrown: unknown) => thrown);

const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' });
const noRoom = new JetStreamApiError({ code: 500, err_code: 10_023, description: 'insufficient resources' });
const badUrl = Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL' });
const away: readonly [situation: string, store: 'NATS' | 'Postgres', error: unknown, message: string][] = [
  ['NATS that does not answer in time', 'NATS', new Error('timeout'), 'NATS: timeout'],
  ['JetStream without room', 'NATS', noRoom, 'NATS: insufficient resources'],
  ['Postgres that is not there', 'Postgres', refused, 'Postgres: ECONNREFUSED'],
  ['an address that is none', 'Postgres', badUrl, 'Postgres: Invalid URL'],
];
for (const [situation, store, error, message] of away) {
  test(`${situation} is away, by its name`, async () => {
    const thrown = await failing(store, error);
    assert.ok(thrown instanceof StoreAway);
    assert.equal(thrown.message, message);
  });
}

const selfEvident: readonly [situation: string, error: Error][] = [
  ['a stream that is not ours', new FatalError('stream CONTENT: retention is "workqueue"')],
  ['a mistake in the code', new TypeError('x is not a function')],
  ['a broken invariant', new PanicError('two owners')],
  ['another store that is away', new StoreAway('NATS: timeout')],
];
for (const [situation, error] of selfEvident) {
  test(`${situation} is not taken for a store that is away`, async () => {
    assert.equal(await failing('Postgres', error), error);
  });
}

test('NATS that refuses the connection is away, and asked anew the next time', async () => {
  await using stores = new StoreConnections();
  for (let pass = 0; pass < 2; pass++)
    await assert.rejects(stores.nats('n/m', 'nats://127.0.0.1:1', ''), (error: Error) => {
      assert.ok(error instanceof StoreAway);
      assert.match(error.message, /^NATS: /);
      return true;
    });
});
