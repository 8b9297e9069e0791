import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CopyChanges, copyContent, deliveryHead } from './message-copy.ts';

/** Text in which everything that matters is frequent. */
const text = fc
  .array(fc.constantFrom('From ', 'From', 'Fro', ' ', '.', '\n', '\n\n', '\r\n', 'x', '\0', '\xff'), { maxLength: 40 })
  .map((words) => words.join(''));

/** The same, cut somewhere. */
function pieces(whole: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(whole, 'latin1');
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1]!, end));
}

async function copy(content: readonly Buffer[], changes: CopyChanges): Promise<string> {
  const source = (async function* () {
    yield* content;
  })();
  const copied: Buffer[] = [];
  for await (const piece of copyContent(source, changes)) copied.push(piece);
  return Buffer.concat(copied).toString('latin1');
}

/** What the formats ask for, line by line. */
function expected(whole: string, { quoteFrom, doubleDots, blankLine, lineEnd = '\n' }: CopyChanges): string {
  const lines = whole === '' ? [] : whole.replace(/\n$/, '').split('\n');
  const changed = lines.map((line) => {
    if (quoteFrom === true && line.startsWith('From ')) return `>${line}`;
    return doubleDots === true && line.startsWith('.') ? `.${line}` : line;
  });
  return changed.map((line) => line + lineEnd).join('') + (blankLine === true ? lineEnd : '');
}

test('lines are changed alike however the content is cut', async () => {
  const changes = fc.record({
    quoteFrom: fc.boolean(),
    doubleDots: fc.boolean(),
    blankLine: fc.boolean(),
    lineEnd: fc.constantFrom('\n', '\r\n'),
  });
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(), { maxLength: 8 }), changes, async (whole, cuts, change) => {
      assert.equal(await copy(pieces(whole, cuts), change), expected(whole, change));
    }),
  );
});

test('addresses that need it are quoted, and none can begin a line of its own', () => {
  const head = deliveryHead({
    sender: 'a b@example.com',
    returnPath: true,
    originalRecipient: 'x\nBcc: y@example.com',
    deliveredTo: 'jürgen@example.org',
  });
  assert.deepEqual(head.toString('utf8').split('\n'), [
    'Return-Path: <"a b"@example.com>',
    'X-Original-To: "x?Bcc: y"@example.com',
    'Delivered-To: jürgen@example.org',
    '',
  ]);
});

test('the From_ line has the date of ctime(3), and MAILER-DAEMON for the null sender', () => {
  const at = new Date(2026, 10, 2, 3, 4, 5).getTime();
  assert.equal(
    deliveryHead({ sender: '', returnPath: true, fromLine: at }).toString(),
    'From MAILER-DAEMON  Mon Nov  2 03:04:05 2026\nReturn-Path: <>\n',
  );
});
