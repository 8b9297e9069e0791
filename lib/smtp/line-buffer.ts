/**
 * What came from a peer and is not consumed: command lines are taken from its front, or content as bytes.
 *
 * A line is bounded. Of a longer one the first `limit` bytes are given when its line end has come, or when that does not
 * come for as long again; the rest is read and forgotten (postconf(5), line_length_limit). Bytes that are not UTF-8 are
 * carried as lib/util/byte-text.ts says.
 */
import { decodeBytes } from '../util/byte-text.ts';

const LF = 10;
const CR = 13;

const EMPTY = Buffer.alloc(0);

export class LineBuffer {
  readonly #limit: number;
  /** What is kept of a line that is too long, while its end has not come. */
  #front: string | undefined;
  /** How much of it was forgotten. */
  #forgotten = 0;
  /** The last byte of it that came was a CR. */
  #carriage = false;
  /** It was given before its end has come. */
  #given = false;
  /** How far the buffer was searched for a line end already. */
  #searched = 0;
  /** The bytes are the sender's, and valid until `keep`. */
  #lent = false;

  /** The bytes; what stands before `at` is consumed. */
  bytes: Buffer = EMPTY;
  at = 0;
  /** The last line was cut at the limit. */
  cut = false;
  /** The last line ended with LF alone. */
  bare = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.bytes.length - this.at;
  }

  /** The chunk is read where it is: before its owner changes it, `keep` is to be called. */
  push(chunk: Buffer): void {
    this.#lent = this.at === this.bytes.length;
    if (this.#lent) {
      this.bytes = chunk;
      this.#searched = 0;
    } else {
      this.#searched = Math.max(0, this.#searched - this.at);
      this.bytes = Buffer.concat([this.at === 0 ? this.bytes : this.bytes.subarray(this.at), chunk]);
    }
    this.at = 0;
  }

  /** Copies what is left of a chunk that was lent. */
  keep(): void {
    if (!this.#lent) return;
    this.#lent = false;
    if (this.at === this.bytes.length) {
      this.clear();
      return;
    }
    this.#searched = Math.max(0, this.#searched - this.at);
    this.bytes = Buffer.from(this.bytes.subarray(this.at));
    this.at = 0;
  }

  /** True where a whole line waits. */
  hasLine(): boolean {
    return this.at < this.bytes.length && this.bytes.indexOf(LF, this.at) >= 0;
  }

  /** The next line without its line end; undefined where its end has not come. */
  line(): string | undefined {
    const { bytes } = this;
    const start = this.at;
    if (start === bytes.length) return undefined;
    const end = bytes.indexOf(LF, Math.max(start, this.#searched));
    if (end < 0) {
      this.#searched = bytes.length;
      return this.#front !== undefined || bytes.length - start > this.#limit ? this.#forget() : undefined;
    }
    this.at = end + 1;
    this.#searched = 0;
    this.bare = !(end > start ? bytes[end - 1] === CR : this.#carriage);
    if (this.#front !== undefined) return this.#cutLine();
    let stop = end;
    while (stop > start && bytes[stop - 1] === CR) stop -= 1;
    this.cut = stop - start > this.#limit;
    if (this.cut) stop = start + this.#limit;
    return text(bytes, start, stop);
  }

  /**
   * Drops what is at hand of a line that is too long, but for its front. What follows the line is no part of it, even
   * where the line was given before.
   */
  #forget(): string | undefined {
    const { bytes, at } = this;
    this.#front ??= decodeBytes(bytes.subarray(at, at + this.#limit));
    this.#forgotten += bytes.length - at;
    this.#carriage = bytes[bytes.length - 1] === CR;
    this.clear();
    if (this.#given || this.#forgotten <= 2 * this.#limit) return undefined;
    this.#given = true;
    this.bare = false;
    this.cut = true;
    return this.#front;
  }

  #cutLine(): string | undefined {
    const front = this.#front;
    const given = this.#given;
    this.#front = undefined;
    this.#forgotten = 0;
    this.#carriage = false;
    this.#given = false;
    if (given) return this.line();
    this.cut = true;
    return front;
  }

  /** Consumes bytes up to that place of `bytes`. */
  skipTo(at: number): void {
    this.at = at;
    this.#searched = 0;
  }

  clear(): void {
    this.bytes = EMPTY;
    this.at = 0;
    this.#searched = 0;
  }
}

/** ASCII, which commands are, is decoded without a pass through the decoder of UTF-8. */
function text(bytes: Buffer, start: number, stop: number): string {
  const line = bytes.toString('latin1', start, stop);
  for (let index = 0; index < line.length; index++) {
    if (line.charCodeAt(index) > 127) return decodeBytes(bytes.subarray(start, stop));
  }
  return line;
}
