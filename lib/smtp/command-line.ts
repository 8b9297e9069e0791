/**
 * SMTP command lines taken apart (RFC 5321 section 4.1.1): words are separated by blanks, an address in angle brackets is
 * one word whatever stands in it, and `FROM:` and `TO:` end where their colon stands, with or without a blank behind.
 *
 * Pure; never throws for what a client sent.
 */

export interface CommandWord {
  readonly text: string;
  /** A quote or an angle bracket that is not closed. */
  readonly error: boolean;
}

const BLANK = 32;
const TAB = 9;
const QUOTE = 34;
const BACKSLASH = 92;
const LESS = 60;
const GREATER = 62;
const COLON = 58;
const OPEN_BRACKET = 91;

/** More words than this on one line are left together in the last one: no command has so many. */
const WORDS = 100;

/** The words of a line. */
export function commandWords(line: string): CommandWord[] {
  const words: CommandWord[] = [];
  let at = skipBlanks(line, 0);
  while (at < line.length) {
    const start = at;
    if (words.length === WORDS) {
      words.push({ text: line.slice(start), error: true });
      break;
    }
    at = line.charCodeAt(at) === LESS ? pathEnd(line, at) : wordEnd(line, at);
    if (at < 0) {
      words.push({ text: line.slice(start), error: true });
      break;
    }
    words.push({ text: line.slice(start, at), error: false });
    at = skipBlanks(line, at);
  }
  return words;
}

function isBlank(code: number): boolean {
  return code === BLANK || (code >= TAB && code <= 13);
}

function skipBlanks(line: string, from: number): number {
  let at = from;
  while (at < line.length && isBlank(line.charCodeAt(at))) at += 1;
  return at;
}

/** The place behind `<…>` with what follows it up to a blank; -1 where the bracket is not closed. */
function pathEnd(line: string, from: number): number {
  let at = closing(line, from + 1, GREATER);
  while (at >= 0 && at < line.length && !isBlank(line.charCodeAt(at))) at += 1;
  return at;
}

/** The place behind a word that does not begin with `<`; -1 where a quote is not closed. */
function wordEnd(line: string, from: number): number {
  let at = from;
  while (at < line.length) {
    const code = line.charCodeAt(at);
    if (isBlank(code) || code === LESS) return at;
    if (code === QUOTE) {
      at = closing(line, at + 1, QUOTE);
      if (at < 0) return -1;
      continue;
    }
    if (code === OPEN_BRACKET) {
      const end = line.indexOf(']', at);
      if (end >= 0) {
        at = end + 1;
        continue;
      }
    }
    at += 1;
    if (code === COLON && isPathWord(line, from, at)) return at;
  }
  return at;
}

function isPathWord(line: string, from: number, to: number): boolean {
  if (to - from !== 5 && to - from !== 3) return false;
  const word = line.slice(from, to).toLowerCase();
  return word === 'from:' || word === 'to:';
}

/** The place behind the closing character, stepping over quoted strings; -1 where it is missing. */
function closing(line: string, from: number, close: number): number {
  let at = from;
  while (at < line.length) {
    const code = line.charCodeAt(at);
    if (code === BACKSLASH) {
      at += 2;
      continue;
    }
    at += 1;
    if (code === close) return at;
    if (code === QUOTE) {
      at = closing(line, at, QUOTE);
      if (at < 0) return -1;
    }
  }
  return -1;
}
