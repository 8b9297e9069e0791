/**
 * Reading SMTP and LMTP replies as a client (RFC 5321 section 4.2): bytes come in as the network cuts them, whole replies
 * go out. No regular expression sees them.
 *
 * Limits: a line is cut off at 2048 octets, as line_length_limit does in Postfix, and a reply at 512 lines; what lies
 * beyond is dropped, the reply stays valid. Lines that are no SMTP reply are passed over; the first of them is kept for the
 * log.
 */

export interface Reply {
  /** The reply code, as a number of three digits. */
  readonly code: number;
  /** All lines with their codes, without line ends, `\n` between them. */
  readonly text: string;
}

const LINE_LIMIT = 2048;
const LINE_COUNT_LIMIT = 512;
const LF = 10;
const CR = 13;
const SPACE = 32;
const HYPHEN = 45;

function digit(code: number | undefined): boolean {
  return code !== undefined && code >= 48 && code <= 57;
}

export class ReplyReader {
  /** Octets of a line that has no end yet; at most LINE_LIMIT are kept. */
  #partial: Buffer | undefined;
  /** Lines of a reply that has no last line yet. */
  #lines: string[] = [];
  readonly #replies: Reply[] = [];
  #nonsense: string | undefined;
  #nonsenseCount = 0;

  /** Takes what arrived. The bytes may be overwritten afterwards. */
  push(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      const end = chunk.indexOf(LF, from);
      if (end < 0) {
        this.#keep(chunk.subarray(from));
        return;
      }
      if (this.#partial === undefined) {
        this.#line(chunk, from, end);
      } else {
        this.#keep(chunk.subarray(from, end));
        const whole = this.#partial;
        this.#partial = undefined;
        this.#line(whole, 0, whole.length);
      }
      from = end + 1;
    }
  }

  /** The next whole reply, or undefined. */
  take(): Reply | undefined {
    return this.#replies.shift();
  }

  /** The first line since the last call that was no SMTP reply, if there was one. */
  takeNonsense(): string | undefined {
    const line = this.#nonsense;
    this.#nonsense = undefined;
    return line;
  }

  get hasNonsense(): boolean {
    return this.#nonsense !== undefined;
  }

  /** How many lines in all were no SMTP reply. */
  get nonsenseCount(): number {
    return this.#nonsenseCount;
  }

  /** Is there neither a reply nor a part of one? A cached connection on which something waits is not usable. */
  get isEmpty(): boolean {
    return this.#replies.length === 0 && this.#partial === undefined && this.#lines.length === 0;
  }

  #keep(bytes: Buffer): void {
    const before = this.#partial?.length ?? 0;
    const kept = bytes.subarray(0, Math.max(0, LINE_LIMIT - before));
    this.#partial = this.#partial === undefined ? Buffer.from(kept) : Buffer.concat([this.#partial, kept]);
  }

  #line(bytes: Buffer, start: number, lineEnd: number): void {
    let end = lineEnd;
    while (end > start && bytes[end - 1] === CR) end--;
    if (end - start > LINE_LIMIT) end = start + LINE_LIMIT;
    const text = bytes.toString('utf8', start, end);
    const isReply = digit(bytes[start]) && digit(bytes[start + 1]) && digit(bytes[start + 2]);
    const separator = end - start > 3 ? bytes[start + 3] : SPACE;
    if (!isReply || end - start < 3 || (separator !== SPACE && separator !== HYPHEN)) {
      this.#nonsense ??= text;
      this.#nonsenseCount++;
      return;
    }
    if (separator === HYPHEN) {
      if (this.#lines.length < LINE_COUNT_LIMIT) this.#lines.push(text);
      return;
    }
    this.#finish((bytes[start]! - 48) * 100 + (bytes[start + 1]! - 48) * 10 + bytes[start + 2]! - 48, text);
  }

  #finish(code: number, lastLine: string): void {
    if (this.#lines.length === 0) {
      this.#replies.push({ code, text: lastLine });
      return;
    }
    this.#lines.push(lastLine);
    this.#replies.push({ code, text: this.#lines.join('\n') });
    this.#lines = [];
  }
}

/** The reply on one line, for logs and reports. */
export function replyOnOneLine(reply: Reply): string {
  return reply.text.includes('\n') ? reply.text.replaceAll('\n', ' ') : reply.text;
}

/** The text of each line behind its code. */
export function replyLines(reply: Reply): string[] {
  return reply.text.split('\n').map((line) => line.slice(4));
}
