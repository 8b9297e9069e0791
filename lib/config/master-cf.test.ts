// biome-ignore-all lint/suspicious/noTemplateCurlyInString: main.cf expressions
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FatalError } from '../util/errors.ts';
import { effectiveEntries, formatOverride, parseMasterCf } from './master-cf.ts';

function only(source: string) {
  const { entries, warnings } = parseMasterCf(source, 'master.cf');
  assert.equal(entries.length, 1);
  assert.deepEqual(warnings, []);
  return entries[0]!;
}

test('dashes stand for the built-in defaults', () => {
  const { private: isPrivate, unprivileged, chroot, wakeup, maxproc } = only('cleanup unix - - - - - cleanup');
  assert.deepEqual(
    { isPrivate, unprivileged, chroot, wakeup, maxproc },
    { isPrivate: true, unprivileged: true, chroot: false, wakeup: 0, maxproc: undefined },
  );
});

test('a service on the network is not private', () => {
  assert.equal(only('smtp inet - - n - - smtpd').private, false);
});

test('a wake-up time with a question mark waits for the first use', () => {
  const { wakeup, wakeupAfterUse } = only('flush unix n - n 1000? 0 flush');
  assert.deepEqual({ wakeup, wakeupAfterUse }, { wakeup: 1000, wakeupAfterUse: true });
});

test('options are read in all their spellings up to the first plain argument', () => {
  const entry = only('x unix - - n - 0 pipe -v -o a=1 -ob=2 -vo c=3 -o { d = x  y } -D\n  flags=R -o e=4 { f g }');
  assert.deepEqual(
    [...entry.overrides],
    [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['d', 'x  y'],
    ],
  );
  assert.deepEqual([entry.verbose, entry.debug], [2, true]);
  assert.deepEqual(entry.commandArguments, ['flags=R', '-o', 'e=4', 'f g']);
});

test('letters written together each count', () => {
  const { verbose, debug } = only('x unix - - n - 0 smtp -vvD');
  assert.deepEqual([verbose, debug], [2, true]);
});

test('of two entries with one name and type the last counts, another type is another service', () => {
  const { entries } = parseMasterCf(
    'smtp inet n - n - 1 smtpd\nsmtp unix - - n - - smtp\nsmtp inet n - n - 2 smtpd\n',
    'm',
  );
  assert.deepEqual(
    effectiveEntries(entries).map(({ type, maxproc }) => [type, maxproc]),
    [
      ['inet', 2],
      ['unix', undefined],
    ],
  );
});

const mistakes: [situation: string, line: string, message: string][] = [
  ['too few fields', 'a unix - - n - 0', 'file master.cf: line 1: bad field count, expected 8 fields or more, found 7'],
  ['an unknown type', 'a tcp - - n - 0 x', 'invalid type field "tcp"'],
  ['a private column that is neither y nor n', 'a unix X - n - 0 x', 'invalid private field "X"'],
  ['an unprivileged column that is neither y nor n', 'a unix - X n - 0 x', 'invalid unprivileged field "X"'],
  ['a chroot column that is neither y nor n', 'a unix - - X - 0 x', 'invalid chroot field "X"'],
  ['a wake-up time below zero', 'a unix - - n -1 0 x', 'invalid wakeup field "-1"'],
  ['a process limit in words', 'a unix - - n - many x', 'invalid process_limit field "many"'],
];

for (const [situation, line, message] of mistakes) {
  test(`${situation} is fatal with file, line and what was expected`, () => {
    assert.throws(
      () => parseMasterCf(line, 'master.cf'),
      (error) =>
        error instanceof FatalError &&
        error.message.includes(message) &&
        /master\.cf.*line 1: /.test(error.message) &&
        error.message.includes('expected'),
    );
  });
}

test('an -o without a setting, and braces that do not match, are warnings with file and line', () => {
  assert.deepEqual(parseMasterCf('a unix - - n - 0 x -o foo { b', 'master.cf').warnings, [
    `master.cf, line 1: missing '=' after attribute name: "foo"`,
    `master.cf, line 1: missing '}' in "{ b"`,
  ]);
});

test('an override is read back from the form in which it is written', () => {
  const name = fc.stringMatching(/^[a-z_]{1,12}$/);
  const value = fc.stringMatching(/^([!-z]([ -z]{0,30}[!-z])?)?$/);
  fc.assert(
    fc.property(name, value, (key, text) => {
      const entry = only(`a unix - - n - 0 x -o ${formatOverride(key, text)}`);
      assert.deepEqual([...entry.overrides], [[key, text]]);
    }),
  );
});

test('no text makes the reader fail in another way than a FatalError', () => {
  const word = fc.constantFrom(
    'a',
    'unix',
    'inet',
    '-',
    'n',
    'y',
    '0',
    '60?',
    '-o',
    '-ov',
    '{',
    '}',
    '{x',
    'a=b',
    '=',
    '\n',
    '\n ',
    '#',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      try {
        parseMasterCf(words.join(' '), 'master.cf');
      } catch (error) {
        assert.ok(error instanceof FatalError);
      }
    }),
  );
});
