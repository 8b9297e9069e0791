import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBoolean, parseInteger, parseSeconds } from './values.ts';

test('yes and no are booleans in any case, nothing else is', () => {
  assert.deepEqual(['yes', 'NO', ' Yes ', 'true', '1', ''].map(parseBoolean), [
    true,
    false,
    true,
    undefined,
    undefined,
    undefined,
  ]);
});

test('whole numbers have digits alone', () => {
  assert.deepEqual(['0', '007', '-5', ' 12 ', '1.5', '1e3', '0x10', '', '99999999999999999999'].map(parseInteger), [
    0,
    7,
    -5,
    12,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('times have one unit, in small letters', () => {
  const texts = [
    '5',
    '5s',
    '5m',
    '2h',
    '1d',
    '1w',
    '5M',
    '1h30m',
    '1 h',
    '-1s',
    's',
    '2147483647',
    '2147483648',
    '4000w',
  ];
  assert.deepEqual(
    texts.map((text) => parseSeconds(text, 's')),
    [5, 5, 300, 7200, 86400, 604800, ...Array(5).fill(undefined), 2147483647, undefined, undefined],
  );
  assert.equal(parseSeconds('3', 'd'), 3 * 86400);
});
