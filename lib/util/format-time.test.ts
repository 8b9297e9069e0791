import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatSeconds } from './format-time.ts';

const CASES = new URL('../../../shared/conformance/postfix/misc/format_tv-a', import.meta.url).pathname;

test('delays keep two significant digits and at most two decimals', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [-5_000_000, '0'],
    [4_999, '0'],
    [5_000, '0.01'],
    [60_000, '0.06'],
    [100_000, '0.1'],
    [995_000, '1'],
    [1_250_000, '1.3'],
    [12_400_000, '12'],
    [12_600_000, '13'],
    [345_678_000_000, '345678'],
  ];
  for (const [microseconds, text] of cases) assert.equal(formatSeconds(microseconds, 2, 2), text, `${microseconds}`);
});

test('numbers come out as in the conformance cases', (t) => {
  if (!existsSync(`${CASES}.in`)) return t.skip('../shared/conformance is not there');
  const expected = readFileSync(`${CASES}.expected`, 'utf8').split('\n');
  let checked = 0;
  for (let at = 0; at + 1 < expected.length; at += 2) {
    const [seconds, significant, decimals] = expected[at]!.replace('>> ', '').split('\t').map(Number);
    assert.equal(formatSeconds(seconds! * 1e6, significant!, decimals!), expected[at + 1], expected[at]);
    checked++;
  }
  assert.ok(checked > 20);
});
