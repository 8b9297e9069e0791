/**
 * SMTP replies (RFC 5321 section 4.2): text lines for a client, and the reader that an SMTP client makes replies from.
 *
 * Texts are strings of any bytes as lib/util/byte-text.ts carries them. A reply read from a server is bounded: a line of
 * `lineLimit` bytes and `LINES` lines; what is longer is cut, as Postfix cuts it, and the session goes on.
 *
 * Pure. See RFC 2034 for enhanced status codes in replies.
 */
import { enhancedStatusLength } from '../mail/enhanced-status.ts';
import { decodeBytes } from '../util/byte-text.ts';

/** One reply of a server, taken apart. */
export interface Reply {
  /** 200 to 599; 0 where the server sent something that is no reply. */
  readonly code: number;
  /** The enhanced status code of the last line that has one, empty where there is none. */
  readonly enhancedStatus: string;
  /** The lines as they came, code and all, without line ends. */
  readonly lines: readonly string[];
  /** The lines put together with single blanks: what Postfix logs and puts in a DSN. */
  readonly text: string;
}

const LF = 10;
const CR = 13;
const HYPHEN = 45;
/** More lines of one reply than this are read and forgotten. */
const LINES = 100;

/**
 * Makes the lines of a reply from a text whose lines are separated by CRLF or LF: "250-a\r\n250 b\r\n".
 * `text` begins with what follows the code: "5.1.1 <x>: no such user".
 */
export function formatReply(code: number | string, lines: readonly string[]): string {
  let reply = '';
  const last = lines.length - 1;
  for (let index = 0; index <= last; index++) reply += `${code}${index < last ? '-' : ' '}${lines[index]}\r\n`;
  return reply;
}

/** True for "250", "250 text" and "250-text": a line that a server may send. */
function codeOf(line: string): number {
  if (line.length < 3) return 0;
  const hundreds = line.charCodeAt(0) - 48;
  const tens = line.charCodeAt(1) - 48;
  const ones = line.charCodeAt(2) - 48;
  if (hundreds < 2 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 0;
  if (line.length > 3 && line[3] !== ' ' && line[3] !== '-') return 0;
  return hundreds * 100 + tens * 10 + ones;
}

/** Takes a whole reply apart. */
export function parseReply(lines: readonly string[]): Reply {
  const code = codeOf(lines[lines.length - 1] ?? '');
  let enhancedStatus = '';
  for (const line of lines) {
    const rest = line.slice(4);
    const length = enhancedStatusLength(rest);
    // A status of another class than the reply's is a server's mistake; the reply code decides.
    if (length > 0 && rest.charCodeAt(0) === line.charCodeAt(0)) enhancedStatus = rest.slice(0, length);
  }
  return { code, enhancedStatus, lines, text: lines.join(' ') };
}

/**
 * Makes replies from what a server sends. Bytes go in as they come; `next` gives a reply as soon as its last line is
 * there. Several replies to pipelined commands come out one after the other.
 */
export class ReplyReader {
  readonly #lineLimit: number;
  #rest: Buffer | undefined;
  #lines: string[] = [];
  #skipping = false;

  constructor(lineLimit = 2048) {
    this.#lineLimit = lineLimit;
  }

  /** True where nothing waits for more bytes. */
  get empty(): boolean {
    return this.#rest === undefined && this.#lines.length === 0;
  }

  push(chunk: Buffer): void {
    this.#rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
  }

  /** The next whole reply; undefined where more bytes are needed. */
  next(): Reply | undefined {
    for (;;) {
      const line = this.#line();
      if (line === undefined) return undefined;
      if (this.#lines.length < LINES) this.#lines.push(line);
      else this.#lines[LINES - 1] = line;
      if (codeOf(line) !== 0 && line.charCodeAt(3) === HYPHEN) continue;
      const lines = this.#lines;
      this.#lines = [];
      return parseReply(lines);
    }
  }

  /** The next line, cut at the limit; what is over is read and forgotten. */
  #line(): string | undefined {
    const rest = this.#rest;
    if (rest === undefined) return undefined;
    const end = rest.indexOf(LF);
    if (this.#skipping) {
      if (end < 0) {
        this.#rest = undefined;
        return undefined;
      }
      this.#skipping = false;
      this.#rest = end + 1 < rest.length ? rest.subarray(end + 1) : undefined;
      return this.#line();
    }
    if (end < 0) {
      if (rest.length < this.#lineLimit) return undefined;
      this.#skipping = true;
      this.#rest = undefined;
      return decodeBytes(rest.subarray(0, this.#lineLimit));
    }
    this.#rest = end + 1 < rest.length ? rest.subarray(end + 1) : undefined;
    let stop = end;
    while (stop > 0 && rest[stop - 1] === CR) stop -= 1;
    return decodeBytes(rest.subarray(0, Math.min(stop, this.#lineLimit)));
  }
}
