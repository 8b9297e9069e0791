/**
 * The line format that all table sources share: a logical line starts with text, lines that start with white space
 * continue it, empty lines and lines whose first other character is `#` are skipped wherever they stand.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { decodeBytes } from '../util/byte-text.ts';

export interface LogicalLine {
  /** The line with its continuations, without the newlines between them and white space at the end. */
  readonly text: string;
  /** Number of its first physical line, from 1. */
  readonly number: number;
}

const READ_SIZE = 256 * 1024;

/** The content of a file in pieces that end at line ends, so that a source of any size needs little memory. */
export function* readInLines(path: string): Generator<string> {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(READ_SIZE);
    let rest: Buffer = Buffer.alloc(0);
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      const bytes = Buffer.concat([rest, buffer.subarray(0, count)]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      rest = Buffer.from(bytes.subarray(end));
      if (end > 0) yield decodeBytes(bytes.subarray(0, end));
    }
    if (rest.length > 0) yield decodeBytes(rest);
  } finally {
    closeSync(fd);
  }
}

/**
 * The logical lines of a text, or of pieces of one that end at line ends. White space at the start of the first one has
 * no line to continue: it is reported, without the line, and skipped.
 */
export function* logicalLines(
  text: string | Iterable<string>,
  where: string,
  warn: (text: string) => void,
): Generator<LogicalLine> {
  let current = '';
  let first = 0;
  let number = 0;
  for (const line of physicalLines(text)) {
    number += 1;
    if (isBlankOrComment(line)) continue;
    if (isBlank(line.charCodeAt(0))) {
      if (first > 0) current += line;
      else {
        const shown = line.length > 30 ? `${line.slice(0, 30)}...` : line;
        warn(`${where}: logical line must not start with whitespace: "${shown}"`);
      }
      continue;
    }
    if (first > 0) yield { text: current.trimEnd(), number: first };
    current = line;
    first = number;
  }
  if (first > 0) yield { text: current.trimEnd(), number: first };
}

function* physicalLines(text: string | Iterable<string>): Generator<string> {
  for (const piece of typeof text === 'string' ? [text] : text) {
    for (let start = 0; start < piece.length; ) {
      const newline = piece.indexOf('\n', start);
      const end = newline < 0 ? piece.length : newline;
      yield piece.slice(start, end);
      start = end + 1;
    }
  }
}

function isBlankOrComment(line: string): boolean {
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (!isBlank(code)) return code === 0x23;
  }
  return true;
}

/** The white space of the C locale: blank, tab, newline, vertical tab, form feed, carriage return. */
function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 9 && code <= 13);
}
