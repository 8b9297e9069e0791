import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FatalError } from '../util/errors.ts';
import { parseMainCf } from './main-cf.ts';

function settings(source: string): Record<string, string> {
  return Object.fromEntries([...parseMainCf(source, 'main.cf').entries].map(([name, { value }]) => [name, value]));
}

test('blanks around the name, the equals sign and the value do not count', () => {
  assert.deepEqual(settings('a=1\nb \t = 2 \nc =\n'), { a: '1', b: '2', c: '' });
});

test('a line that begins with blank space continues the setting, over comments and empty lines', () => {
  assert.deepEqual(settings('a = 1,\n  2,\n# no\n\n   # neither\n\t3\nb = 4'), { a: '1,  2,\t3', b: '4' });
});

test('lines may end in carriage return and newline', () => {
  assert.deepEqual(settings('a = 1\r\n  2\r\nb = 3\r\n'), { a: '1\r  2', b: '3' });
});

test('of two settings of one name the last counts, with a warning that names the line', () => {
  const { entries, warnings } = parseMainCf('a = 1\nb = 2\na = 3\n', 'main.cf');
  assert.equal(entries.get('a')?.value, '3');
  assert.deepEqual(warnings, ['main.cf, line 3: overriding earlier entry: a=1']);
});

test('a continuation of nothing is a warning', () => {
  const { entries, warnings } = parseMainCf(' a = 1\nb = 2\n', 'main.cf');
  assert.deepEqual([...entries.keys()], ['b']);
  assert.deepEqual(warnings, ['main.cf: logical line must not start with whitespace: " a = 1"']);
});

const mistakes: [source: string, message: string][] = [
  ['a = 1\nfoo\n', `main.cf, line 2: missing '=' after attribute name: "foo"`],
  ['foo bar = x\n', `main.cf, line 1: missing '=' after attribute name: "foo bar = x"`],
  ['= x\n', 'main.cf, line 1: missing attribute name: "= x"'],
];

for (const [source, message] of mistakes) {
  test(`${JSON.stringify(source)} is fatal with file and line`, () => {
    assert.throws(
      () => parseMainCf(source, 'main.cf'),
      (error) => error instanceof FatalError && error.message === message,
    );
  });
}

test('what is written as name = value is read back, whatever stands around it', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,20}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/).filter((text) => !text.startsWith('#'));
  const noise = fc.constantFrom('', '# comment', '   # indented comment', '\t');
  fc.assert(
    fc.property(fc.array(fc.tuple(noise, name, value), { maxLength: 20 }), (lines) => {
      const source = lines.map(([before, key, text]) => `${before}\n${key} = ${text}\n`).join('');
      const expected = Object.fromEntries(lines.map(([, key, text]) => [key, text]));
      assert.deepEqual({ ...settings(source) }, expected);
    }),
  );
});

test('no text makes the reader fail in another way than a FatalError', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '=', ' ', '\n', '#', '\t', '"', '{') }), (source) => {
      try {
        parseMainCf(source, 'main.cf');
      } catch (error) {
        assert.ok(error instanceof FatalError);
        assert.match(error.message, /^main\.cf, line \d+: /);
      }
    }),
  );
});
