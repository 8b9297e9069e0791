import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statusSchema } from '../../lib/mailserver/status.ts';
import { flushMark } from './flush-mark.ts';

const long = 'x'.repeat(300);

test('a short annotation is remembered as it is', () => {
  for (const value of ['', 'now', 'x'.repeat(256)]) assert.equal(flushMark(value), value);
});

test('a long annotation is remembered by what the status has room for', () => {
  for (const value of [long, '😀'.repeat(5000), `x${'😀'.repeat(5000)}`]) {
    const { flushed } = statusSchema.parse({ flushed: flushMark(value) });
    assert.equal(flushed, flushMark(value));
    assert.equal(flushed!.isWellFormed(), true);
  }
});

test('another annotation with the same beginning is another flush', () => {
  assert.notEqual(flushMark(`${long}1`), flushMark(`${long}2`));
});
