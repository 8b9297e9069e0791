/**
 * Quoted-printable encoding of text as it comes (RFC 2045 section 6.7), for mail with 8-bit data that goes to a server
 * without 8BITMIME. Lines keep their ends; longer ones get soft breaks.
 *
 * Pure. Text is one character per byte.
 */

/** A line is broken where it has more than this many characters: any further one fits in 76 with its `=`. */
const SOFT_LIMIT = 72;

/** Encodes a body piece by piece; a piece may end inside of a line. */
export class QuotedPrintableEncoder {
  #line = '';

  /** Encodes a piece; returns the lines that are finished, without line ends. */
  encode(text: string, endOfLine: boolean): string[] {
    const lines: string[] = [];
    for (let index = 0; index < text.length; index++) {
      if (this.#line.length > SOFT_LIMIT) {
        lines.push(`${this.#line}=`);
        this.#line = '';
      }
      const atEnd = endOfLine && index === text.length - 1;
      this.#line += encodeByte(text.charCodeAt(index), atEnd);
    }
    if (endOfLine) {
      lines.push(withoutTrailingBlank(this.#line));
      this.#line = '';
    }
    return lines;
  }

  /** What is left of a line without an end; undefined where there is nothing. */
  finish(): string | undefined {
    const rest = this.#line;
    this.#line = '';
    return rest === '' ? undefined : rest;
  }
}

function encodeByte(code: number, lastOfLine: boolean): string {
  const blank = code === 32 || code === 9;
  if (blank ? !lastOfLine : code > 32 && code < 127 && code !== 61) return String.fromCharCode(code);
  return `=${code.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** A blank at the end of one piece may turn out to end the line, when the next piece is empty. */
function withoutTrailingBlank(line: string): string {
  const last = line.charCodeAt(line.length - 1);
  return last === 32 || last === 9 ? line.slice(0, -1) + encodeByte(last, true) : line;
}
