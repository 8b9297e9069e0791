import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byName, type Mergeable, merge } from './merge.ts';

const cases: readonly [situation: string, base: Mergeable, patch: Mergeable, expected: Mergeable][] = [
  ['objects are merged', { a: { b: 1, c: 2 } }, { a: { c: 3 } }, { a: { b: 1, c: 3 } }],
  ['null takes a field out', { a: 1, b: 2 }, { a: null }, { b: 2 }],
  ['plain lists are replaced', { a: [1, 2] }, { a: [3] }, { a: [3] }],
  [
    'named things are merged by name',
    { c: [{ name: 'x', v: 1 }, { name: 'y' }] },
    { c: [{ name: 'x', w: 2 }, { name: 'z' }] },
    { c: [{ name: 'x', v: 1, w: 2 }, { name: 'y' }, { name: 'z' }] },
  ],
  [
    'mounts are told apart by their path',
    { m: [{ name: 'v', mountPath: '/a' }] },
    { m: [{ name: 'v', mountPath: '/b' }] },
    {
      m: [
        { name: 'v', mountPath: '/a' },
        { name: 'v', mountPath: '/b' },
      ],
    },
  ],
  ['a value takes the place of an object', { a: { b: 1 } }, { a: 'x' }, { a: 'x' }],
  ['an empty patch changes nothing', { a: [{ name: 'x' }] }, {}, { a: [{ name: 'x' }] }],
];
for (const [situation, base, patch, expected] of cases) {
  test(situation, () => {
    const before = structuredClone(base);
    assert.deepEqual(merge(base, patch), expected);
    assert.deepEqual(base, before);
  });
}

test('of two of one name the last counts', () => {
  assert.deepEqual(
    byName([
      { name: 'a', v: 1 },
      { name: 'b', v: 2 },
      { name: 'a', v: 3 },
    ]),
    [
      { name: 'a', v: 3 },
      { name: 'b', v: 2 },
    ],
  );
});
