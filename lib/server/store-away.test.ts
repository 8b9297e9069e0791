import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAway } from './store-away.ts';

const coded = (code: string): Error => Object.assign(new Error('x'), { code });
const named = (name: string): Error => Object.assign(new Error('x'), { name });

const CASES: readonly [string, unknown, boolean][] = [
  ['a refused connection', coded('ECONNREFUSED'), true],
  ['a name that cannot be looked up', coded('EAI_AGAIN'), true],
  ['a Postgres that starts', coded('57P03'), true],
  ['a Postgres that ended the connection', coded('57P01'), true],
  ['a Postgres with no connection to spare', coded('53300'), true],
  ['a connection that ended in a statement', new Error('Connection terminated unexpectedly'), true],
  ['a connection that does not come', new Error('timeout exceeded when trying to connect'), true],
  ['a NATS that does not answer', named('TimeoutError'), true],
  ['a password that is refused', coded('28P01'), false],
  ['a statement that is wrong', coded('42601'), false],
  ['an error of ours', new TypeError('x is not a function'), false],
  ['no error at all', 'ECONNREFUSED', false],
];
for (const [name, error, away] of CASES)
  test(`${name} is ${away ? '' : 'not '}a store that is away`, () => assert.equal(isAway(error), away));
