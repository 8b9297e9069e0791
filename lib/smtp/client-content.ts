/**
 * Message content as an SMTP client sends it after DATA (RFC 5321 sections 4.5.2 and 4.5.3.1.6): lines end with CR LF, a
 * dot at the start of a line is doubled, and lines longer than smtp_line_length_limit are broken by CR LF SPACE, the
 * space counting as a part of the line that it begins. All other bytes pass as they are.
 */

const LF = 10;
const CR = 13;
const DOT = 46;
const SPACE = 32;

const END_OF_CONTENT = Buffer.from('.\r\n');
const END_AFTER_UNFINISHED_LINE = Buffer.from('\r\n.\r\n');

export class ContentEncoder {
  readonly #lineLimit: number;
  #out = Buffer.alloc(0);
  #length = 0;
  /** Octets in the line that is being sent. */
  #column = 0;
  #hasBroken = false;

  /** `lineLimit` is smtp_line_length_limit; 0 breaks no lines. */
  constructor(lineLimit: number) {
    this.#lineLimit = lineLimit > 1 ? lineLimit : Number.POSITIVE_INFINITY;
  }

  /** Was a line broken because of its length? */
  get hasBroken(): boolean {
    return this.#hasBroken;
  }

  /** The next piece of content, with LF line ends; lines may go on in the next piece. */
  encode(piece: Buffer): Buffer {
    this.#begin(piece.length);
    this.#add(piece);
    return this.#take();
  }

  /** The end of the content with its dot. */
  end(): Buffer {
    return this.#column === 0 ? END_OF_CONTENT : END_AFTER_UNFINISHED_LINE;
  }

  /** Content that is at hand as a whole, with its dot, for one write. */
  whole(content: Buffer): Buffer {
    this.#begin(content.length + END_AFTER_UNFINISHED_LINE.length);
    this.#add(content);
    const end = this.end();
    this.#reserve(end.length);
    this.#length += end.copy(this.#out, this.#length);
    return this.#take();
  }

  #begin(size: number): void {
    // Room for the line ends of ordinary text; text with very short lines makes it grow.
    this.#out = Buffer.allocUnsafe(size + (size >> 5) + 64);
    this.#length = 0;
  }

  #take(): Buffer {
    return this.#out.subarray(0, this.#length);
  }

  #reserve(octets: number): void {
    if (this.#length + octets <= this.#out.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#length + octets));
    this.#out.copy(grown, 0, 0, this.#length);
    this.#out = grown;
  }

  #add(piece: Buffer): void {
    let from = 0;
    while (from < piece.length) {
      const lineEnd = piece.indexOf(LF, from);
      const end = lineEnd < 0 ? piece.length : lineEnd;
      if (this.#column + end - from > this.#lineLimit) {
        this.#addBroken(piece, from, end);
      } else {
        // A dot to double and the line end.
        this.#reserve(end - from + 3);
        this.#stuff(piece, from, end);
        this.#length += piece.copy(this.#out, this.#length, from, end);
        this.#column += end - from;
      }
      if (lineEnd < 0) return;
      this.#reserve(2);
      this.#out[this.#length++] = CR;
      this.#out[this.#length++] = LF;
      this.#column = 0;
      from = end + 1;
    }
  }

  #stuff(piece: Buffer, from: number, end: number): void {
    if (this.#column === 0 && from < end && piece[from] === DOT) this.#out[this.#length++] = DOT;
  }

  #addBroken(piece: Buffer, from: number, end: number): void {
    let at = from;
    for (;;) {
      const take = Math.min(this.#lineLimit - this.#column, end - at);
      this.#reserve(take + 4);
      this.#stuff(piece, at, at + take);
      this.#length += piece.copy(this.#out, this.#length, at, at + take);
      this.#column += take;
      at += take;
      if (at >= end) return;
      this.#hasBroken = true;
      this.#out[this.#length++] = CR;
      this.#out[this.#length++] = LF;
      this.#out[this.#length++] = SPACE;
      this.#column = 1;
    }
  }
}
