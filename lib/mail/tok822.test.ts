import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quote822Local } from './quote822.ts';
import { externalize, internalize, parse, parseAddressList, scan, type Token } from './tok822.ts';

test('what people write in address headers is understood and written back in order', () => {
  const cases: [text: string, written: string][] = [
    ['foo@bar, baz@barf', 'foo@bar, baz@barf'],
    ['a b@c', 'a, b@c'],
    ['<b@x> c', '<b@x>, c'],
    ['(comment) foo', 'foo (comment)'],
    ['foo (c)@bar', 'foo@bar (c)'],
    ['gr: a, b; c', 'gr: a, b;, c'],
    ['gr: a, b', '"gr:a", b'],
    ['a:b:c@d;', 'a:b: c@d;'],
    ['undisclosed-recipients:;', 'undisclosed-recipients: ;'],
    ['foo:bar@baz', '"foo:bar"@baz'],
    ['\\"foo <a@b>', '"\\"foo" <a@b>'],
    ['a\\ b@c', '"a b"@c'],
    ['a,,b,', 'a, , b, '],
    ['a@b;c@d', 'a@b;, c@d'],
    ['a <b> <c>', 'a <b> <c>'],
    ['Foo. Bar <x@y>', 'Foo.Bar <x@y>'],
    ['x[y]z@d', 'x, "[y]", z@d'],
    ['a|b, c.d . e@f', 'a|b, c.d.e@f'],
    ['<>', '<>'],
  ];
  for (const [text, written] of cases) assert.equal(externalize(parse(text)), written, text);
});

test('the mailboxes of groups and brackets come out in internal form', () => {
  assert.deepEqual(parseAddressList('g: a@b, "x y"@c; <q@r>, <>, Name (c) <n@m>'), ['a@b', 'x y@c', 'q@r', '', 'n@m']);
  assert.deepEqual(parseAddressList('(nobody)'), []);
});

test('each address begins a line of its own in a header', () => {
  assert.equal(externalize(parse('a@b, c@d'), { newlines: true }), 'a@b,\nc@d');
});

test('no more tokens are read than the limit allows', () => {
  assert.equal(scan('a b c d', 2).length, 2);
  assert.deepEqual(parseAddressList('a, b, c', 3), ['a', 'b']);
});

test('comments that dwarf their address are left out, with a warning', () => {
  const warnings: string[] = [];
  const written = externalize(parse(`x@y (${'c'.repeat(300)}), z@y`), { warn: (text) => warnings.push(text) });
  assert.equal(written, '<x@y>, z@y');
  assert.equal(warnings.length, 1);
});

/** What begins with an @ and has a colon is a source route, which is copied as it is. */
const localpart = fc
  .string({ minLength: 1, maxLength: 12 })
  .filter((text) => text.trim() === text && !/^@.*:/s.test(text));
const domain = fc.stringMatching(/^[a-z][a-z0-9]{0,8}(\.[a-z0-9]{1,8}){0,3}$/);
const mailbox = fc.tuple(localpart, domain).map(([local, name]) => `${local}@${name}`);

test('a list of mailboxes survives any way of writing them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(mailbox, fc.constantFrom('', '<', 'Name <', '(note) '))), (entries) => {
      const text = entries.map(([address, lead]) => {
        const external = quote822Local(address);
        return `${lead}${external}${lead.endsWith('<') ? '>' : ''}`;
      });
      const expected = entries.map(([address]) => address);
      assert.deepEqual(parseAddressList(text.join(', ')), expected);
      assert.deepEqual(parseAddressList(externalize(parse(text.join(',')))), expected);
    }),
  );
});

/** Text that is made of what the reader treats specially. */
const nasty = fc
  .array(fc.constantFrom('a', 'b.c', '@', '<', '>', '(', ')', '"', '\\', ',', ';', ':', '[', ']', ' ', '\n', '\u00e9'))
  .map((parts) => parts.join(''));

test('no text makes the reader fail, lose words or invent any', () => {
  const words = (tokens: readonly Token[]): string[] =>
    tokens.flatMap((token) => token.children ?? [token]).flatMap(({ type, text }) => (type === 'op' ? [] : [text]));
  const sorted = (tokens: readonly Token[]): string[] =>
    words(tokens)
      .filter((text) => text !== ':')
      .sort();
  fc.assert(
    fc.property(nasty, (text) => {
      const tree = parse(text);
      assert.deepEqual(sorted(tree), sorted(scan(text)));
      assert.equal(typeof internalize(tree), 'string');
      assert.equal(typeof externalize(tree, { newlines: true, firstLineOnly: true }), 'string');
    }),
  );
});

test('what a backslash or quotes hid is still a word when it is read again', () => {
  const cases: [text: string, external: string][] = [
    ['a\\@b <c@d>', '"a@b" <c@d>'],
    ['a\\ b', '"a b"'],
    ['a\\\nb', '"a b"'],
    ['"a\tb"', '"a b"'],
    ['x@[a\\]b]', 'x@[a]b]'],
    ['a\\bc@d', 'abc@d'],
    ['a\\!b <c>', '"a!b" <c>'],
  ];
  for (const [text, external] of cases) assert.equal(externalize(parse(text)), external, text);
});
