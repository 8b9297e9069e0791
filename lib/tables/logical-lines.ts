/**
 * The line format that all table sources share: a logical line starts with text, lines that start with white space
 * continue it, empty lines and lines whose first other character is `#` are skipped wherever they stand.
 */

export interface LogicalLine {
  /** The line with its continuations, newlines between them kept, white space at the end removed. */
  readonly text: string;
  /** Number of its first physical line, from 1. */
  readonly number: number;
}

/**
 * The logical lines of a text. White space at the start of the first one has no line to continue: it is reported, and
 * the line is taken as it is.
 */
export function* logicalLines(text: string, where: string, warn: (text: string) => void): Generator<LogicalLine> {
  let current = '';
  let first = 0;
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    number += 1;
    if (isBlankOrComment(line)) continue;
    if (isBlank(line.charCodeAt(0)) && first > 0) {
      current += `\n${line}`;
      continue;
    }
    if (first > 0) yield { text: current.trimEnd(), number: first };
    if (isBlank(line.charCodeAt(0))) {
      const shown = line.length > 30 ? `${line.slice(0, 30)}...` : line;
      warn(`${where}, line ${number}: logical line must not start with whitespace: "${shown}"`);
    }
    current = line;
    first = number;
  }
  if (first > 0) yield { text: current.trimEnd(), number: first };
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
