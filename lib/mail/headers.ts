/**
 * Finds the headers of a message in its bytes without decoding or copying them (RFC 5322 section 2.2).
 *
 * The header block ends at the first empty line, or before the first line that is neither a header nor the continuation
 * of one: such a message has a body without a blank line in front. Lines end in LF or CR LF. Positions are byte offsets in
 * the buffer that was given.
 *
 * Pure. Cost is one pass over the header block; names are the only strings made, and common ones are shared.
 */

/** One header: bytes [start, end) with its continuation lines and without the last line ending. */
export interface HeaderSpan {
  /** Name in lower case, without the colon and the blanks that may precede it. */
  readonly name: string;
  readonly start: number;
  /** Just behind the name, before blanks and colon. */
  readonly nameEnd: number;
  /** Where the text begins: behind the colon. */
  readonly valueStart: number;
  /** Just behind the last byte of the text, before its line ending. */
  readonly end: number;
}

/** What a scan found. */
export interface HeaderBlock {
  readonly headers: HeaderSpan[];
  /** Where the body begins: behind the empty line, or at the first line that is no header. */
  readonly bodyStart: number;
  /** The empty line was seen. */
  readonly terminated: boolean;
}

const LF = 10;
const CR = 13;
const TAB = 9;
const SPACE = 32;
const COLON = 58;
const CASE_BIT = 32;

/**
 * Scans at most `limit` bytes. A header block that goes on beyond the limit is reported as far as whole lines lie inside
 * it, and bodyStart is the first line that was not taken.
 */
export function scanHeaders(content: Buffer, limit: number = content.length): HeaderBlock {
  const stop = Math.min(limit, content.length);
  const headers: HeaderSpan[] = [];
  let position = 0;
  while (position < stop) {
    const first = content[position]!;
    if (first === LF) return { headers, bodyStart: position + 1, terminated: true };
    if (first === CR && content[position + 1] === LF) return { headers, bodyStart: position + 2, terminated: true };
    const nameEnd = headerNameEnd(content, position, stop);
    if (nameEnd === position) return { headers, bodyStart: position, terminated: false };
    let colon = nameEnd;
    while (content[colon] !== COLON) colon++;
    const next = headerEnd(content, colon + 1, stop);
    if (next < 0) return { headers, bodyStart: position, terminated: false };
    headers.push({
      name: nameOf(content, position, nameEnd),
      start: position,
      nameEnd,
      valueStart: colon + 1,
      end: textEnd(content, colon + 1, next),
    });
    position = next;
  }
  return { headers, bodyStart: position, terminated: false };
}

/**
 * End of the field name that begins at `start`, or `start` itself when the line is no header. A name is printable ASCII
 * without colon; blanks may stand between it and the colon.
 */
export function headerNameEnd(content: Buffer, start: number, stop: number): number {
  let position = start;
  while (position < stop && content[position]! > SPACE && content[position]! < 127 && content[position] !== COLON)
    position++;
  const nameEnd = position;
  while (position < stop && (content[position] === SPACE || content[position] === TAB)) position++;
  return position < stop && content[position] === COLON ? nameEnd : start;
}

/** Where the line after this header (continuation lines included) begins; -1 when a line crosses the limit. */
function headerEnd(content: Buffer, start: number, stop: number): number {
  let position = start;
  for (;;) {
    const newline = content.indexOf(LF, position);
    // The last line of the content need not be terminated; one that crosses the limit is not taken.
    if (newline < 0) return stop === content.length ? stop : -1;
    if (newline >= stop) return -1;
    position = newline + 1;
    const next = content[position];
    if (position >= content.length || (next !== SPACE && next !== TAB)) return position;
  }
}

function textEnd(content: Buffer, floor: number, next: number): number {
  let end = next;
  if (end > floor && content[end - 1] === LF) {
    end--;
    if (end > floor && content[end - 1] === CR) end--;
  }
  return end;
}

/** Names of nearly all headers of nearly all mail, found again by length and bytes, so that no string is made. */
const COMMON_NAMES = [
  'bcc', 'cc', 'content-description', 'content-disposition', 'content-id', 'content-length', 'content-transfer-encoding',
  'content-type', 'date', 'delivered-to', 'dkim-signature', 'errors-to', 'from', 'in-reply-to', 'list-id',
  'list-unsubscribe', 'message-id', 'mime-version', 'received', 'references', 'reply-to', 'resent-bcc', 'resent-cc',
  'resent-date', 'resent-from', 'resent-message-id', 'resent-reply-to', 'resent-sender', 'resent-to', 'return-path',
  'return-receipt-to', 'sender', 'subject', 'to', 'user-agent', 'x-mailer', 'authentication-results', 'arc-seal',
]; // biome-ignore format: a word list
const BY_LENGTH = new Map<number, { name: string; bytes: Buffer }[]>();
for (const name of COMMON_NAMES) {
  const sameLength = BY_LENGTH.get(name.length) ?? [];
  sameLength.push({ name, bytes: Buffer.from(name, 'latin1') });
  BY_LENGTH.set(name.length, sameLength);
}

function nameOf(content: Buffer, start: number, end: number): string {
  for (const { name, bytes } of BY_LENGTH.get(end - start) ?? []) {
    if (sameName(content, start, bytes)) return name;
  }
  return content.toString('latin1', start, end).toLowerCase();
}

/** Compares without regard to the case of letters; the known names hold lower-case letters and hyphens only. */
function sameName(content: Buffer, start: number, lowerCase: Buffer): boolean {
  for (let index = 0; index < lowerCase.length; index++) {
    const wanted = lowerCase[index]!;
    const byte = content[start + index]!;
    if (byte !== wanted && (wanted < 97 || (byte | CASE_BIT) !== wanted)) return false;
  }
  return true;
}

/** The text of a header as a string of bytes ('latin1'), from behind the colon, leading blanks removed, lines as they are. */
export function headerValue(content: Buffer, header: HeaderSpan): string {
  let start = header.valueStart;
  while (start < header.end && (content[start] === SPACE || content[start] === TAB)) start++;
  return content.toString('latin1', start, header.end);
}
