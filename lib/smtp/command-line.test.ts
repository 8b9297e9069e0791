import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { commandWords } from './command-line.ts';

const cases: readonly [situation: string, line: string, words: readonly string[]][] = [
  ['words at blanks', 'NOOP  a\tb ', ['NOOP', 'a', 'b']],
  ['nothing', ' \t', []],
  ['an address behind its colon', 'MAIL FROM:<a@b> SIZE=1', ['MAIL', 'FROM:', '<a@b>', 'SIZE=1']],
  ['an address behind colon and blank', 'rcpt to: <a@b>', ['rcpt', 'to:', '<a@b>']],
  ['an address without brackets', 'MAIL FROM:a@b', ['MAIL', 'FROM:', 'a@b']],
  ['blanks, quotes and brackets within an address', 'RCPT TO:<"a > b"@c (d)>', ['RCPT', 'TO:', '<"a > b"@c (d)>']],
  ['text behind a closing bracket belongs to it', 'MAIL FROM:<a@b>SIZE=1 X', ['MAIL', 'FROM:', '<a@b>SIZE=1', 'X']],
  ['other colons stay', 'XCLIENT ADDR=IPv6:2001:db8::1', ['XCLIENT', 'ADDR=IPv6:2001:db8::1']],
  ['address literals', 'EHLO [IPv6:2001:db8::1]', ['EHLO', '[IPv6:2001:db8::1]']],
];

for (const [situation, line, words] of cases) {
  test(`a command line: ${situation}`, () => {
    assert.deepEqual(
      commandWords(line).map(({ text, error }) => (error ? `error ${text}` : text)),
      words,
    );
  });
}

test('what is not closed is an error', () => {
  for (const line of ['RCPT TO:<a@b', 'RCPT TO:<"a>', 'VRFY "a', 'RCPT TO:<a\\>']) {
    assert.equal(commandWords(line).at(-1)?.error, true, line);
  }
});

test('any line gives words that stand in it in that order', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', ' ', '<', '>', '"', '\\', ':', '[', ']', 'FROM:') }), (line) => {
      let at = 0;
      for (const { text } of commandWords(line)) {
        const found = line.indexOf(text, at);
        assert.ok(found >= 0);
        at = found + text.length;
      }
    }),
  );
});
