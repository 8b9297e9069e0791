/**
 * The message on standard input, as sendmail(1) reads it: line ends made LF as sendmail_fix_line_endings says, a line with
 * a dot alone as the end where nobody said -i, a From_ line of a mailbox taken off, a From: header with the user's full
 * name put in front where the message has none.
 *
 * Works piece by piece: of a large message no more than one piece is held, and the headers up to 256 KiB.
 */
import { scanHeaders } from '../../lib/mail/headers.ts';

export type LineEndFix = 'always' | 'strict' | 'never';

const CR = 13;
const LF = 10;
const DOT = 46;
const NOTHING = Buffer.alloc(0);
const HEADER_LIMIT = 262_144;

/** CR LF becomes LF: in every line, or in all where the first line ends so, or never. */
export async function* fixLineEnds(input: AsyncIterable<Buffer>, fix: LineEndFix): AsyncGenerator<Buffer> {
  let held: Buffer = NOTHING;
  let decided = fix === 'always' ? true : fix === 'never' ? false : undefined;
  for await (const piece of input) {
    let data = held.length === 0 ? piece : Buffer.concat([held, piece]);
    held = NOTHING;
    if (decided === undefined) {
      const newline = data.indexOf(LF);
      if (newline < 0) {
        held = data;
        continue;
      }
      decided = newline > 0 && data[newline - 1] === CR;
    }
    if (decided) {
      // A CR at the end waits for what comes after it.
      if (data.at(-1) === CR) {
        held = data.subarray(data.length - 1);
        data = data.subarray(0, -1);
      }
      if (data.includes(CR)) data = Buffer.from(data.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
    }
    if (data.length > 0) yield data;
  }
  if (held.length > 0) yield held;
}

/** Ends before a line that is a dot alone. */
export async function* untilDot(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = NOTHING;
  let atLineStart = true;
  for await (const piece of input) {
    const data = held.length === 0 ? piece : Buffer.concat([held, piece]);
    held = NOTHING;
    const dot = findDotLine(data, atLineStart);
    if (dot.line >= 0) {
      if (dot.line > 0) yield data.subarray(0, dot.line);
      return;
    }
    const decided = data.subarray(0, dot.undecided);
    held = data.subarray(dot.undecided);
    if (decided.length > 0) {
      atLineStart = decided.at(-1) === LF;
      yield decided;
    }
  }
  // A dot that ends the input without a line end ends the message too.
  if (held.length > 0 && !(held.length === 1 && held[0] === DOT)) yield held;
}

/** Where a line of one dot begins, or -1; and from where on the data does not tell yet. */
function findDotLine(data: Buffer, atLineStart: boolean): { line: number; undecided: number } {
  if (atLineStart && data[0] === DOT) {
    if (data.length === 1) return { line: -1, undecided: 0 };
    if (data[1] === LF) return { line: 0, undecided: 0 };
  }
  const found = data.indexOf('\n.\n');
  if (found >= 0) return { line: found + 1, undecided: 0 };
  const endsInDot = data.length >= 2 && data.at(-1) === DOT && data.at(-2) === LF;
  return { line: -1, undecided: endsInDot ? data.length - 1 : data.length };
}

/** Without the From_ line that a mailbox has in front of a message. */
export async function* withoutFromLine(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let beginning: Buffer | undefined = NOTHING;
  for await (const piece of input) {
    if (beginning === undefined) {
      yield piece;
      continue;
    }
    beginning = Buffer.concat([beginning, piece]);
    const newline = beginning.indexOf(LF);
    if (newline < 0 && beginning.length < HEADER_LIMIT) continue;
    const rest: Buffer = isFromLine(beginning) && newline >= 0 ? beginning.subarray(newline + 1) : beginning;
    beginning = undefined;
    if (rest.length > 0) yield rest;
  }
  if (beginning !== undefined && beginning.length > 0 && !isFromLine(beginning)) yield beginning;
}

function isFromLine(line: Buffer): boolean {
  return line.length >= 5 && line.toString('latin1', 0, 5) === 'From ';
}

/** With the given From: header in front, where the message has none. */
export async function* withFrom(input: AsyncIterable<Buffer>, header: string): AsyncGenerator<Buffer> {
  let beginning: Buffer | undefined = NOTHING;
  const complete = (bytes: Buffer): Buffer => {
    const { headers } = scanHeaders(bytes);
    if (headers.some(({ name }) => name === 'from' || name === 'resent-from')) return bytes;
    return Buffer.concat([Buffer.from(`From: ${header}\n`, 'utf8'), bytes]);
  };
  for await (const piece of input) {
    if (beginning === undefined) {
      yield piece;
      continue;
    }
    beginning = Buffer.concat([beginning, piece]);
    if (!beginning.includes('\n\n') && beginning.length < HEADER_LIMIT) continue;
    yield complete(beginning);
    beginning = undefined;
  }
  if (beginning !== undefined) yield complete(beginning);
}
