/** Postgres reads each array as the values that it was made of. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { createDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import { boolArray, byteaArray, float8Array, int4Array, int8Array, textArray } from './binary-arrays.ts';

let database: TestDatabase;

before(async () => {
  database = await createDatabase();
});
after(async () => {
  await database[Symbol.asyncDispose]();
});

async function reads<T>(type: string, array: Buffer): Promise<T[]> {
  const { rows } = await database.pool.query<{ value: T }>({
    name: type,
    text: `select unnest($1::${type}[]) as value`,
    values: [array],
  });
  return rows.map(({ value }) => value);
}

async function holds<T>(type: string, value: fc.Arbitrary<T>, encode: (values: readonly T[]) => Buffer): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 20 }), async (values) => {
      assert.deepEqual(await reads<T>(type, encode(values)), values);
    }),
    { numRuns: 50 },
  );
}

/** Postgres takes every string as text but those with a NUL. */
const texts = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\0', 'x'));

test('integers of both sizes, from their least to their greatest', async () => {
  await holds('int', fc.integer(), int4Array);
  await holds('bigint', fc.maxSafeInteger(), int8Array);
  const edges = [0, 1, -1, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
  assert.deepEqual(await reads('bigint', int8Array(edges)), edges);
});

test('numbers with a fraction, and none', async () => {
  await holds('float8', fc.double(), float8Array);
});

test('truth values', async () => {
  await holds('bool', fc.boolean(), boolArray);
});

test('texts of every script, empty ones and nulls', async () => {
  await holds('text', fc.option(texts), textArray);
});

test('octets of strings, NUL among them', async () => {
  const strings = ['', 'a\0b', 'jörg@bücher.example', '😀', '\\x41', '{"a",NULL}'];
  assert.deepEqual(
    await reads('bytea', byteaArray(strings)),
    strings.map((text) => Buffer.from(text)),
  );
});

test('an integer that is too large is an error and not another number', () => {
  assert.throws(() => int4Array([2 ** 31]), RangeError);
});
