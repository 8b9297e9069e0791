import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBytes, encodeBytes, printable } from './byte-text.ts';
import { caseFold, compareFolded } from './case-fold.ts';
import { splitKeyValue, splitNameValue, splitOutsideBraces, splitParameterList, unbrace } from './split.ts';

test('any bytes come back from the text that they were decoded to', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) =>
      assert.deepEqual(new Uint8Array(encodeBytes(decodeBytes(bytes))), bytes),
    ),
  );
});

test('UTF-8 decodes to itself, all else to lone surrogates', () => {
  assert.equal(decodeBytes(Buffer.from('aä€😀')), 'aä€😀');
  assert.equal(decodeBytes(Buffer.from('a\xffb', 'latin1')), 'a\udcffb');
  // Overlong, surrogate, beyond Unicode, cut short.
  for (const hex of ['c080', 'eda080', 'f4908080', 'e282'])
    assert.ok(!decodeBytes(Buffer.from(hex, 'hex')).isWellFormed(), hex);
  assert.equal(printable('a\udcff\n\x7fä'), 'a???ä');
});

test('folding twice is folding once, and compares as equal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(caseFold(caseFold(text)), caseFold(text));
      assert.equal(compareFolded(text, caseFold(text)), 0);
    }),
  );
});

test('items in braces', () => {
  const cases: [string, string[]][] = [
    ['a, b\tc', ['a', 'b', 'c']],
    ['a{b, c}d e', ['a{b, c}d', 'e']],
    ['inline:{ {a = b c}, d=e } x', ['inline:{ {a = b c}, d=e }', 'x']],
    ['{open a', ['{open a']],
    ['}a b', ['}a', 'b']],
    ['', []],
  ];
  for (const [text, expected] of cases) assert.deepEqual(splitOutsideBraces(text), expected, text);
  assert.deepEqual(unbrace('{ a }'), { text: 'a' });
  assert.equal(unbrace('{ a }x').error, `syntax error after '}' in "{ a }x"`);
  const errors: string[] = [];
  assert.deepEqual(
    splitParameterList('A { B=c d } { E', (error) => void errors.push(error)),
    ['A', 'B=c d', 'E'],
  );
  assert.deepEqual(errors, [`missing '}' in "{ E"`]);
});

test('name = value', () => {
  const cases: [string, unknown][] = [
    ['a=b', { name: 'a', value: 'b' }],
    [' a = b c ', { name: 'a', value: 'b c' }],
    ['a=', { name: 'a', value: '' }],
    ['"a=b', { name: '"a', value: 'b' }],
    ['"a b"@c=d', { error: "missing '=' after attribute name" }],
    ['a b', { error: "missing '=' after attribute name" }],
    ['=b', { error: 'missing attribute name' }],
  ];
  for (const [text, expected] of cases) assert.deepEqual(splitNameValue(text), expected, text);
});

test('key = value, where quotes and backslashes keep a key together', () => {
  const cases: [string, unknown][] = [
    ['a=b', { name: 'a', value: 'b' }],
    ['"a b"@c=d', { name: '"a b"@c', value: 'd' }],
    ['\\"a=b', { name: '\\"a', value: 'b' }],
    ['=b', { name: '', value: 'b' }],
    ['"a=b', { error: `unbalanced '"' in '"a=b'` }],
  ];
  for (const [text, expected] of cases) assert.deepEqual(splitKeyValue(text), expected, text);
});
