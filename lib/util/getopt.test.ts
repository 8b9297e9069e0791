import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getopt } from './getopt.ts';

const CASES: readonly [argv: string[], options: [string, string][] | string, operands?: string[]][] = [
  [[], []],
  [
    ['-a', '-bc', 'x', '-a'],
    [
      ['a', ''],
      ['b', 'c'],
    ],
    ['x', '-a'],
  ],
  [
    ['-ab', 'value', 'x'],
    [
      ['a', ''],
      ['b', 'value'],
    ],
    ['x'],
  ],
  [['-b', '-a'], [['b', '-a']]],
  [['-a', '--', '-b'], [['a', '']], ['-b']],
  [['-', '-a'], [], ['-', '-a']],
  [['-ax'], "invalid option -- 'x'"],
  [['-:'], "invalid option -- ':'"],
  [['-b'], "option requires an argument -- 'b'"],
  [['-ab'], "option requires an argument -- 'b'"],
];
for (const [argv, expected, operands = []] of CASES) {
  test(`command ${argv.join(' ')}`, () => {
    const result = getopt(argv, 'ab:');
    if (typeof expected === 'string') assert.deepEqual(result, { problem: expected });
    else {
      const options = expected.map(([letter, value]) => ({ letter, value }));
      assert.deepEqual(result, { options, operands });
    }
  });
}
