import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExpired, isLate, retryDelay } from './defer.ts';

const SETTINGS = {
  minimalBackoff: 300,
  maximalBackoff: 4000,
  maximalQueueLifetime: 432_000,
  bounceQueueLifetime: 86_400,
  delayWarningTime: 3600,
};

test('the time until the next attempt is the age of the message, within the two limits', () => {
  for (const [age, expected] of [
    [0, 300],
    [299, 300],
    [1000, 1000],
    [4000, 4000],
    [100_000, 4000],
  ] as const) {
    assert.equal(retryDelay(age, SETTINGS), expected, String(age));
  }
  assert.equal(retryDelay(0, { minimalBackoff: 5000, maximalBackoff: 4000 }), 5000);
});

test('mail is given up at maximal_queue_lifetime, notices at bounce_queue_lifetime', () => {
  assert.equal(isExpired(431_999, 'a@example.com', SETTINGS), false);
  assert.equal(isExpired(432_000, 'a@example.com', SETTINGS), true);
  assert.equal(isExpired(86_400, '', SETTINGS), true);
  assert.equal(isExpired(0, '', { ...SETTINGS, bounceQueueLifetime: 0 }), true);
});

test('a sender is told once that the message is late, and never about a notice', () => {
  assert.equal(isLate(3599, false, 'a@example.com', SETTINGS), false);
  assert.equal(isLate(3600, false, 'a@example.com', SETTINGS), true);
  assert.equal(isLate(3600, true, 'a@example.com', SETTINGS), false);
  assert.equal(isLate(3600, false, '', SETTINGS), false);
  assert.equal(isLate(3600, false, 'a@example.com', { ...SETTINGS, delayWarningTime: 0 }), false);
});
