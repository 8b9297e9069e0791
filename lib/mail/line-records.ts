/**
 * Cuts content into records: lines without their LF, and pieces of lines longer than a limit (line_length_limit). Every
 * byte is in a record, so that joining them again gives the content.
 *
 * Pure. Strings have one character per byte. Memory is bounded by the limit.
 */

const LF = 10;

/** Text of a line, or a piece of one that goes on where it is not complete. */
export interface LineRecord {
  readonly text: string;
  readonly complete: boolean;
}

export class LineRecords {
  readonly #limit: number;
  /** The beginning of a line whose end has not come yet. */
  #open = '';

  /** @param limit octets of the longest record */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The records that a piece of content completes. */
  *push(content: Buffer): Generator<LineRecord> {
    let start = 0;
    for (let end = content.indexOf(LF); end >= 0; end = content.indexOf(LF, start)) {
      yield* this.#take(content, start, end);
      yield { text: this.#open, complete: true };
      this.#open = '';
      start = end + 1;
    }
    yield* this.#take(content, start, content.length);
  }

  /** What is left of a last line without LF. */
  *end(): Generator<LineRecord> {
    if (this.#open !== '') yield { text: this.#open, complete: false };
    this.#open = '';
  }

  /** Adds bytes to the open line, and gives out what is over the limit. */
  *#take(content: Buffer, start: number, end: number): Generator<LineRecord> {
    let from = start;
    while (this.#open.length + end - from > this.#limit) {
      const middle = from + this.#limit - this.#open.length;
      yield { text: this.#open + content.toString('latin1', from, middle), complete: false };
      this.#open = '';
      from = middle;
    }
    this.#open += content.toString('latin1', from, end);
  }
}

/** The bytes of a record. */
export function recordBytes({ text, complete }: LineRecord): Buffer {
  return Buffer.from(complete ? `${text}\n` : text, 'latin1');
}
