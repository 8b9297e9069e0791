import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failure, isTemporary, success } from './dsn.ts';
import { isEnhancedStatus, splitEnhancedStatus, withStatusClass } from './enhanced-status.ts';

test('a status code in front of a text is told from text that looks like one', () => {
  const cases: [text: string, status: string, rest: string][] = [
    ['5.1.1 User unknown', '5.1.1', 'User unknown'],
    ['4.7.123  Later', '4.7.123', 'Later'],
    ['5.1.1', '5.1.1', ''],
    ['3.1.1 no such class', '5.0.0', '3.1.1 no such class'],
    ['5.1 short', '5.0.0', '5.1 short'],
    ['5.1.1x', '5.0.0', '5.1.1x'],
    ['5.1234.1 long', '5.0.0', '5.1234.1 long'],
    ['', '5.0.0', ''],
  ];
  for (const [text, status, rest] of cases) {
    assert.deepEqual(splitEnhancedStatus(text, '5.0.0'), { status, text: rest }, text);
  }
  assert.ok(isEnhancedStatus('2.0.0'));
  assert.ok(!isEnhancedStatus('2.0.0 Ok'));
});

test('a failure is of the class of its action, whatever its text says', () => {
  assert.equal(failure('delayed', '4.3.0', '5.1.1 User unknown').status, '4.1.1');
  assert.equal(failure('failed', '5.0.0', 'no').status, '5.0.0');
  assert.equal(withStatusClass('4.7.1', '5'), '5.7.1');
  assert.ok(isTemporary(failure('delayed', '4.3.0', 'x')));
  assert.ok(!isTemporary(success('delivered', 'ok')));
});
