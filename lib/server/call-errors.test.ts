import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServerError, Status } from 'nice-grpc';
import { Unavailable } from '../clients/protocols.ts';
import { callError } from './call-errors.ts';

function answered(error: unknown): { code: Status; details: string; logged: string[] } {
  const logged: string[] = [];
  const log = { error: (text: string): void => void logged.push(text) };
  const answer = callError(error, log);
  assert.ok(answer instanceof ServerError);
  return { code: answer.code, details: answer.details, logged };
}

test('a service or a store that is away is UNAVAILABLE, with its reason, and no error of ours', () => {
  for (const error of [
    new Unavailable('no answer'),
    Object.assign(new Error('no answer'), { code: 'ECONNREFUSED' }),
    Object.assign(new Error('no answer'), { code: '57P01' }),
  ])
    assert.deepEqual(answered(error), { code: Status.UNAVAILABLE, details: 'no answer', logged: [] });
});

test('an error of ours is logged, and the caller hears nothing of its inside', () => {
  const { code, details, logged } = answered(new TypeError('secret is not a function'));
  assert.deepEqual([code, details], [Status.INTERNAL, 'internal error']);
  assert.match(logged.join('\n'), /^a call failed: TypeError: secret is not a function\n/);
});

test('what a service says of a request stays as it is', () => {
  const error = new ServerError(Status.INVALID_ARGUMENT, 'no request');
  assert.equal(callError(error, { error: () => assert.fail() }), error);
});
