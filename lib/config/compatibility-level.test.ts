import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareLevels, formatCompatibilityLevel, parseCompatibilityLevel } from './compatibility-level.ts';

const part = fc.integer({ min: 0, max: 1023 });
const level = fc.tuple(fc.integer({ min: 0, max: 2047 }), part, part);

test('a level in its normal form is read back', () => {
  fc.assert(
    fc.property(level, (parts) => {
      const number = parseCompatibilityLevel(parts.join('.'))!;
      assert.equal(parseCompatibilityLevel(formatCompatibilityLevel(number)), number);
    }),
  );
});

test('levels compare part by part', () => {
  const inOrder = (a: readonly number[], b: readonly number[]): number => {
    const index = a.findIndex((one, at) => one !== b[at]);
    return index < 0 ? 0 : Math.sign(a[index]! - b[index]!);
  };
  fc.assert(
    fc.property(level, level, (a, b) => {
      const order = compareLevels(a.join('.'), b.join('.'), assert.fail);
      assert.equal(Math.sign(order!), inOrder(a, b));
    }),
  );
});

test('parts left out are zero', () => {
  assert.equal(compareLevels('3', '3.0.0', assert.fail), 0);
});

test('what is no level is reported once and compares with nothing', () => {
  const warnings: string[] = [];
  assert.equal(
    compareLevels('x', '3', (text) => warnings.push(text)),
    undefined,
  );
  assert.deepEqual(warnings, ['malformed compatibility level syntax: "x"']);
});
