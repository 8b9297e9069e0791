/**
 * The message as a mailbox, a file or a command gets it: header lines of the delivery in front, and such changes to lines
 * as the format asks for. Content comes with LF line ends and goes out with bytes unchanged but for those changes.
 *
 * See local(8), MAILBOX DELIVERY; pipe(8), flags; mbox(5).
 *
 * Pure; at most one piece of content is held.
 */
import { quote822Local } from '../mail/quote822.ts';

const LF = 10;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export interface HeadFields {
  /** Envelope sender for Return-Path: and the From_ line, in internal form; empty for the null sender. */
  readonly sender: string;
  /** Stands in the From_ line (and with nullSenderInReturnPath in Return-Path:) for the null sender. */
  readonly nullSender?: string;
  /** Return-Path: names `nullSender` too, as pipe(8) does. */
  readonly nullSenderInReturnPath?: boolean;
  /** Milliseconds since 1970, for the From_ line; left out where the format has none. */
  readonly fromLine?: number;
  readonly returnPath: boolean;
  /** X-Original-To:, left out where undefined. */
  readonly originalRecipient?: string;
  /** Delivered-To:, left out where undefined. */
  readonly deliveredTo?: string;
  /** Line end, LF by default. */
  readonly lineEnd?: string;
}

/** The lines in front of the message. A line break in an address cannot make a line of its own. */
export function deliveryHead(fields: HeadFields): Buffer {
  const { sender, nullSender = 'MAILER-DAEMON', lineEnd = '\n' } = fields;
  const lines: string[] = [];
  if (fields.fromLine !== undefined) {
    lines.push(`From ${quoted(sender === '' ? nullSender : sender)}  ${ctime(fields.fromLine)}`);
  }
  if (fields.returnPath) {
    lines.push(`Return-Path: <${quoted(sender === '' && fields.nullSenderInReturnPath ? nullSender : sender)}>`);
  }
  if (fields.originalRecipient !== undefined) lines.push(`X-Original-To: ${quoted(fields.originalRecipient)}`);
  if (fields.deliveredTo !== undefined) lines.push(`Delivered-To: ${quoted(fields.deliveredTo)}`);
  if (lines.length === 0) return Buffer.alloc(0);
  return Buffer.from(lines.map((line) => line + lineEnd).join(''), 'utf8');
}

function quoted(address: string): string {
  return address === '' ? '' : quote822Local(address).replace(/[\r\n\0]/g, '?');
}

/** "Sun Nov 22 14:24:39 2026", local time. */
function ctime(milliseconds: number): string {
  const at = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, '0');
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${DAYS[at.getDay()]} ${MONTHS[at.getMonth()]} ${String(at.getDate()).padStart(2)} ${time} ${at.getFullYear()}`;
}

export interface CopyChanges {
  /** `>` before lines that begin with "From ". */
  readonly quoteFrom?: boolean;
  /** `.` before lines that begin with ".". */
  readonly doubleDots?: boolean;
  /** An empty line at the end. */
  readonly blankLine?: boolean;
  /** Line end, LF by default. */
  readonly lineEnd?: string;
}

/** Copies content with the changes that a format asks for; the last line gets a line end where it has none. */
export async function* copyContent(content: AsyncIterable<Buffer>, changes: CopyChanges): AsyncGenerator<Buffer> {
  const copier = new LineCopier(changes);
  for await (const piece of content) {
    const copied = copier.copy(piece);
    if (copied.length > 0) yield copied;
  }
  const rest = copier.end();
  if (rest.length > 0) yield rest;
}

/** The same for content that is at hand. */
export function copyWhole(content: Buffer, changes: CopyChanges): Buffer[] {
  const copier = new LineCopier(changes);
  return [copier.copy(content), copier.end()].filter((piece) => piece.length > 0);
}

const FROM = Buffer.from('From ');
const AFTER_FROM = Buffer.from('\nFrom ');
const AFTER_DOT = Buffer.from('\n.');
const NOTHING = Buffer.alloc(0);

class LineCopier {
  readonly #changes: CopyChanges;
  readonly #lineEnd: Buffer;
  readonly #otherLineEnd: boolean;
  #held: Buffer = NOTHING;
  #atLineStart = true;

  constructor(changes: CopyChanges) {
    this.#changes = changes;
    this.#lineEnd = Buffer.from(changes.lineEnd ?? '\n', 'latin1');
    this.#otherLineEnd = (changes.lineEnd ?? '\n') !== '\n';
  }

  copy(piece: Buffer): Buffer {
    const data = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    this.#held = NOTHING;
    const end = this.#changes.quoteFrom === true ? this.#undecidedFrom(data) : data.length;
    this.#held = data.subarray(end);
    return this.#copyDecided(data.subarray(0, end));
  }

  end(): Buffer {
    const parts = [this.#copyDecided(this.#held)];
    this.#held = NOTHING;
    if (!this.#atLineStart) parts.push(this.#lineEnd);
    if (this.#changes.blankLine === true) parts.push(this.#lineEnd);
    this.#atLineStart = true;
    return Buffer.concat(parts);
  }

  /** Where a line begins at the end of the data that is "From " so far: it waits for the next piece. */
  #undecidedFrom(data: Buffer): number {
    const lineStart = data.lastIndexOf(LF) + 1;
    if (lineStart === 0 && !this.#atLineStart) return data.length;
    const length = data.length - lineStart;
    if (length === 0 || length >= FROM.length) return data.length;
    return FROM.compare(data, lineStart, data.length, 0, length) === 0 ? lineStart : data.length;
  }

  #copyDecided(data: Buffer): Buffer {
    if (data.length === 0) return data;
    const { quoteFrom = false, doubleDots = false } = this.#changes;
    // Nearly all content has nothing to change: three searches in native code say so.
    const plain =
      !this.#otherLineEnd &&
      !(quoteFrom && (data.includes(AFTER_FROM) || this.#beginsWith(data, FROM))) &&
      !(doubleDots && (data.includes(AFTER_DOT) || this.#beginsWith(data, AFTER_DOT.subarray(1))));
    const copied = plain ? data : this.#changeLines(data);
    this.#atLineStart = data[data.length - 1] === LF;
    return copied;
  }

  #beginsWith(data: Buffer, text: Buffer): boolean {
    return this.#atLineStart && data.length >= text.length && text.compare(data, 0, text.length) === 0;
  }

  #changeLines(data: Buffer): Buffer {
    const { quoteFrom = false, doubleDots = false } = this.#changes;
    const parts: Buffer[] = [];
    let atLineStart = this.#atLineStart;
    for (let position = 0; position < data.length; ) {
      const newline = data.indexOf(LF, position);
      const lineEnd = newline < 0 ? data.length : newline;
      if (atLineStart && quoteFrom && isFrom(data, position)) parts.push(Buffer.from('>'));
      if (atLineStart && doubleDots && data[position] === 46) parts.push(Buffer.from('.'));
      parts.push(data.subarray(position, lineEnd));
      if (newline >= 0) parts.push(this.#lineEnd);
      atLineStart = newline >= 0;
      position = lineEnd + 1;
    }
    return Buffer.concat(parts);
  }
}

function isFrom(data: Buffer, position: number): boolean {
  const end = position + FROM.length;
  return end <= data.length && FROM.compare(data, position, end) === 0;
}
