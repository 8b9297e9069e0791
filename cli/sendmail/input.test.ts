import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fixLineEnds, type LineEndFix, untilDot, withFrom, withoutFromLine } from './input.ts';

const text = fc
  .array(fc.constantFrom('.', '\n', '\r', '\r\n', '\n.\n', 'x', 'From ', 'From: a\n', 'Subject: s\n'), {
    maxLength: 30,
  })
  .map((words) => words.join(''));

async function* pieces(whole: string, cuts: readonly number[]): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(whole, 'latin1');
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  for (const [index, end] of ends.entries()) yield bytes.subarray(index === 0 ? 0 : ends[index - 1]!, end);
}

async function whole(output: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const piece of output) all.push(piece);
  return Buffer.concat(all).toString('latin1');
}

const cuts = fc.array(fc.nat(), { maxLength: 6 });

test('line ends are made LF as sendmail_fix_line_endings says, however the input is cut', async () => {
  const expected: Record<LineEndFix, (input: string) => string> = {
    always: (input) => input.replaceAll('\r\n', '\n'),
    strict: (input) => (/^[^\n]*\r\n/.test(input) ? input.replaceAll('\r\n', '\n') : input),
    never: (input) => input,
  };
  for (const fix of ['always', 'strict', 'never'] as const) {
    await fc.assert(
      fc.asyncProperty(text, cuts, async (input, where) => {
        assert.equal(await whole(fixLineEnds(pieces(input, where), fix)), expected[fix](input));
      }),
    );
  }
});

test('a line with a dot alone ends the message, however the input is cut', async () => {
  await fc.assert(
    fc.asyncProperty(text, cuts, async (input, where) => {
      const end = /(^|\n)\.(\n|$)/.exec(input);
      const expected = end === null ? input : input.slice(0, end.index + end[1]!.length);
      assert.equal(await whole(untilDot(pieces(input, where))), expected);
    }),
  );
});

const heads: [name: string, input: string, expected: string][] = [
  ['a From_ line is taken off', 'From joe Mon Nov  2\nSubject: t\n\nFrom here\n', 'Subject: t\n\nFrom here\n'],
  ['a From: header is none', 'From: joe\n\nx\n', 'From: joe\n\nx\n'],
  ['a From_ line alone leaves nothing', 'From joe', ''],
];
for (const [name, input, expected] of heads) {
  test(name, async () => {
    for (const where of [[], [1, 3, 9]]) assert.equal(await whole(withoutFromLine(pieces(input, where))), expected);
  });
}

const froms: [name: string, input: string, expected: string][] = [
  ['a message without From: gets one', 'Subject: t\n\nbody\n', 'From: Me <me@x>\nSubject: t\n\nbody\n'],
  ['a message with one keeps it', 'Subject: t\nFROM: you\n\nbody\n', 'Subject: t\nFROM: you\n\nbody\n'],
  ['From: in the body does not count', 'Subject: t\n\nFrom: you\n', 'From: Me <me@x>\nSubject: t\n\nFrom: you\n'],
  ['headers without a body are enough', 'Subject: t\n', 'From: Me <me@x>\nSubject: t\n'],
];
for (const [name, input, expected] of froms) {
  test(name, async () => {
    for (const where of [[], [1, 5, 12]])
      assert.equal(await whole(withFrom(pieces(input, where), 'Me <me@x>')), expected);
  });
}
