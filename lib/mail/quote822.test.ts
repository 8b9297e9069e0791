import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quote821Local, quote822Local, unquote822Local } from './quote822.ts';

test('a dot-atom needs no quotes, and anything else gets them', () => {
  const cases: [internal: string, external: string][] = [
    ['user@example.com', 'user@example.com'],
    ['first.last+tag@example.com', 'first.last+tag@example.com'],
    ['two words@example.com', '"two words"@example.com'],
    ['.dot@example.com', '".dot"@example.com'],
    ['dot.@example.com', '"dot."@example.com'],
    ['a..b@example.com', '"a..b"@example.com'],
    ['a@b@example.com', '"a@b"@example.com'],
    ['say "hi"@example.com', '"say \\"hi\\""@example.com'],
    ['back\\slash@example.com', '"back\\\\slash"@example.com'],
    ['@example.com', '""@example.com'],
    ['', '""'],
    ['gr\u00fc\u00dfe@example.com', 'gr\u00fc\u00dfe@example.com'],
  ];
  for (const [internal, external] of cases) assert.equal(quote822Local(internal), external);
});

test('options change what counts as special', () => {
  assert.equal(quote822Local('a@b@c', { bareLocalpart: true }), '"a@b@c"');
  assert.equal(quote822Local('a@b@c', { exposeAt: true }), 'a@b@c');
  assert.equal(quote822Local('\u00e9@c', { eightBitClean: false }), '"\\\u00e9"@c');
});

test('a source route in front of a localpart stays as it is', () => {
  const cases: [internal: string, external: string][] = [
    ['@a,@b:c@d', '@a,@b:c@d'],
    ['@a:c d@e', '@a:"c d"@e'],
    ['@a:', '@a:""'],
    ['@a:@b:c@d', '@a:"@b:c"@d'],
    ['@a', '""@a'],
    ['a:b@c', '"a:b"@c'],
  ];
  for (const [internal, external] of cases) {
    assert.equal(quote822Local(internal), external);
    assert.equal(unquote822Local(external), internal);
  }
});

test('a newline cannot leave the quotes of an SMTP command unescaped', () => {
  assert.equal(quote821Local('a\nb@c'), '"a\\\nb"@c');
  assert.equal(quote822Local('@a:b@c'), '@a:b@c');
  assert.equal(quote821Local('@a:b@c'), '"@a:b"@c');
});

test('a route hidden in a quoted localpart comes to light without its quotes', () => {
  assert.equal(unquote822Local('"a@b@c"@d@e'), 'a@b@c@d@e');
  assert.equal(unquote822Local('"a@b@c"'), 'a@b@c');
});

test('what was quoted reads back as it was', () => {
  const domain = fc.stringMatching(/^[a-z][a-z0-9.-]{0,20}$/);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), domain, (localpart, name) => {
      const address = `${localpart}@${name}`;
      assert.equal(unquote822Local(quote822Local(address)), address);
      assert.equal(unquote822Local(quote821Local(address)), address);
    }),
  );
});
