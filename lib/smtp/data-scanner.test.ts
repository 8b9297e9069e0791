import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DataScanner } from './data-scanner.ts';

interface Result {
  readonly content: string;
  readonly rest: string;
  readonly ended: boolean;
  readonly bare: boolean;
}

/** Scans the text in pieces that end at the given places. */
function scan(text: string, cuts: readonly number[], options: { standardEnd: boolean; dots?: boolean }): Result {
  const scanner = new DataScanner(options);
  const content: Buffer[] = [];
  const sink = { write: (piece: Buffer) => content.push(Buffer.from(piece)) };
  const bytes = Buffer.from(text, 'latin1');
  const ends = [...new Set([...cuts.filter((cut) => cut > 0 && cut < bytes.length), bytes.length])].sort(
    (a, b) => a - b,
  );
  let start = 0;
  for (const end of ends) {
    const chunk = Buffer.from(bytes.subarray(start, end));
    scanner.scan(chunk, 0, chunk.length, sink);
    if (scanner.ended) {
      start += scanner.next;
      break;
    }
    start = end;
  }
  return {
    content: Buffer.concat(content).toString('latin1'),
    rest: scanner.ended ? bytes.toString('latin1', start) : '',
    ended: scanner.ended,
    bare: scanner.sawBareNewline,
  };
}

const cases: readonly [situation: string, input: string, content: string, rest: string | undefined, bare: boolean][] = [
  ['plain lines', 'a\r\nb\r\n.\r\nNEXT', 'a\nb\n', 'NEXT', false],
  ['no content at all', '.\r\n', '', '', false],
  ['a line of one dot, stuffed', '..\r\n.\r\n', '.\n', '', false],
  ['dots in front of text', '..a\r\n.b\r\n.\r\n', '.a\nb\n', '', false],
  ['an empty line', '\r\n\r\n.\r\n', '\n\n', '', false],
  ['a lone CR is content', 'a\rb\r\n.\r\n', 'a\rb\n', '', false],
  ['CR CR LF keeps the first', 'a\r\r\n.\r\n', 'a\r\n', '', false],
  ['a dot and a CR that ends nothing', '.\ra\r\n.\r\n', '\ra\n', '', false],
  ['lone LF ends a line of content', 'a\nb\r\n.\r\n', 'a\nb\n', '', true],
  ['LF.LF does not end the data', 'a\n.\nb\r\n.\r\n', 'a\nb\n', '', true],
  ['LF.CRLF does not end the data', 'a\n.\r\nb\r\n.\r\n', 'a\nb\n', '', true],
  ['CRLF.LF does not end the data', 'a\r\n.\nb\r\n.\r\n', 'a\nb\n', '', true],
  ['NUL and 8-bit bytes pass', '\0\xff\x80\r\n.\r\n', '\0\xff\x80\n', '', false],
  ['the end has not come', 'a\r\n.', 'a\n', undefined, false],
];

for (const [situation, input, content, rest, bare] of cases) {
  test(`content: ${situation}, however it is cut`, () => {
    const everywhere = Array.from({ length: input.length }, (_, at) => at);
    for (const cuts of [[], everywhere, ...everywhere.map((at) => [at])]) {
      const result = scan(input, cuts, { standardEnd: true });
      assert.deepEqual(result, { content, rest: rest ?? '', ended: rest !== undefined, bare }, `cut at ${cuts.join()}`);
    }
  });
}

test('lines are counted as they are ended', () => {
  const scanner = new DataScanner({ standardEnd: false, dots: false });
  const sink = { write: () => undefined };
  for (const text of ['a\r', '\n\nb\r\n', 'c']) scanner.scan(Buffer.from(text), 0, text.length, sink);
  assert.equal(scanner.lines, 3);
  scanner.finish(sink);
  assert.equal(scanner.lines, 4);
});

test('CRs without end are content, and held back in a bounded number', () => {
  const scanner = new DataScanner({ standardEnd: false });
  let written = 0;
  const sink = { write: (piece: Buffer) => (written += piece.length) };
  for (let at = 0; at < 10_000; at++) scanner.scan(Buffer.from('\r'), 0, 1, sink);
  assert.ok(written > 7000, `${written}`);
  scanner.scan(Buffer.from('a'), 0, 1, sink);
  assert.equal(written, 10_001);
});

test('without a standard end, a dot between lone LFs ends the data', () => {
  assert.deepEqual(scan('a\n.\nNEXT', [], { standardEnd: false }), {
    content: 'a\n',
    rest: 'NEXT',
    ended: true,
    bare: true,
  });
});

test('chunks have neither dots nor an end', () => {
  assert.equal(scan('.a\r\n.\r\n..\r\n', [3], { standardEnd: true, dots: false }).content, '.a\n.\n..\n');
});

/** The same by replacing text, as slow and plain as it can be. */
function reference(text: string): { content: string; rest: string | undefined } {
  const end = text.startsWith('.\r\n') ? 0 : text.indexOf('\r\n.\r\n') + 2;
  const ended = end === 0 ? text.startsWith('.\r\n') : end >= 2;
  const body = ended ? text.slice(0, end) : text;
  const lines = body.split('\n');
  const last = lines.length - 1;
  const content = lines
    .filter((line, at) => at === last || (line !== '.' && line !== '.\r'))
    .map((line, at) => {
      const plain = line.startsWith('.') ? line.slice(1) : line;
      return at < last && plain.endsWith('\r') ? plain.slice(0, -1) : plain;
    })
    .join('\n');
  return { content, rest: ended ? text.slice(end + 3) : undefined };
}

test('any bytes in any pieces give what the plain way gives', () => {
  const text = fc.array(fc.constantFrom('\r', '\n', '.', '\r\n', 'a', '.\r\n', '\r\n.', '\xff', 'x'.repeat(200)), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(text, fc.array(fc.nat(400), { maxLength: 8 }), (parts, cuts) => {
      const input = `${parts.join('')}\r\n.\r\n`;
      const expected = reference(input);
      const result = scan(input, cuts, { standardEnd: true });
      assert.equal(result.ended, true);
      assert.equal(result.content, expected.content);
      assert.equal(result.rest, expected.rest);
    }),
    { numRuns: 2000 },
  );
});

/** Lines that end with LF, with any number of CRs before it; the first with a dot alone is the end. */
function looseReference(text: string): { content: string; rest: string } {
  const lines = text.split('\n').map((line) => line.replace(/\r+$/, ''));
  const end = lines.indexOf('.');
  const content = lines.slice(0, end).map((line) => `${line.startsWith('.') ? line.slice(1) : line}\n`);
  const rest = text.split('\n').slice(end + 1);
  return { content: content.join(''), rest: rest.join('\n') };
}

test('without a standard end, any bytes in any pieces give what the plain way gives', () => {
  const text = fc.array(fc.constantFrom('\r', '\r\r', '\n', '.', '\r\n', 'a', '.\r\n', '\r\n.', 'x'.repeat(9)), {
    maxLength: 30,
  });
  fc.assert(
    fc.property(text, fc.array(fc.nat(100), { maxLength: 8 }), (parts, cuts) => {
      const input = `${parts.join('')}\r\n.\r\n`;
      const { content, rest } = scan(input, cuts, { standardEnd: false });
      assert.deepEqual({ content, rest }, looseReference(input));
    }),
    { numRuns: 2000 },
  );
});
