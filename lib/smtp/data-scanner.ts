/**
 * Message content as it comes over SMTP, made into lines ended by LF: CRLF becomes LF, the dot that a client put before a
 * dot goes (RFC 5321 section 4.5.2), and the end of data is found. Everything else passes byte for byte, whatever the
 * length of a line.
 *
 * The scanner works in the buffer that it is given (content only gets shorter), so a message costs one pass and no copy.
 *
 * Which lines end the data is a setting (postconf(5), smtpd_forbid_bare_newline): with `standardEnd` nothing but
 * CRLF.CRLF does, and a dot between other line ends is dropped with its line; otherwise LF alone counts as a line end
 * everywhere, and so does LF behind any number of CRs. A lone LF ends a line of content in both, and `sawBareNewline`
 * tells that there was one.
 */

/** Receives content in order. A piece is a view of the buffer that was scanned. */
export interface ContentSink {
  write(piece: Buffer): void;
}

const LF = 10;
const CR = 13;
const DOT = 46;

/** At the start of a line that follows CRLF (or the command). */
const START = 0;
/** At the start of a line that follows a lone LF. */
const START_BARE = 1;
/** Inside a line. */
const INSIDE = 2;
/** Inside a line, after CRs that are not written yet. */
const CARRIAGE = 3;
/** After the dot at the start of a line; it is not written. */
const DOTTED = 4;
/** After dot and CRs at the start of a line. */
const DOTTED_CARRIAGE = 5;

type State =
  | typeof START
  | typeof START_BARE
  | typeof INSIDE
  | typeof CARRIAGE
  | typeof DOTTED
  | typeof DOTTED_CARRIAGE;

/** More CRs in a row than this are content, whatever follows: memory is bounded. */
const CARRIAGES = 2048;

const LINE_FEED = Buffer.of(LF);

export class DataScanner {
  readonly #standardEnd: boolean;
  readonly #dots: boolean;
  #state: State = START;
  /** The line before the one that began with a dot ended with CRLF. */
  #dotAfterCrlf = true;
  /** CRs that are not written yet: their meaning depends on what follows. */
  #carriages = 0;

  /** The end of data was met; what follows in the buffer is not content. */
  ended = false;
  sawBareNewline = false;
  /** Lines of content that are complete. */
  lines = 0;
  /** Where the scan stopped in the last buffer: its end, or the first byte behind the end of data. */
  next = 0;

  /** `dots: false` for BDAT, whose content has neither added dots nor an end within. */
  constructor(options: { standardEnd: boolean; dots?: boolean }) {
    this.#standardEnd = options.standardEnd;
    this.#dots = options.dots ?? true;
  }

  /** Scans buffer[start..end), which it overwrites, and writes what is content to the sink. */
  scan(buffer: Buffer, start: number, end: number, sink: ContentSink): void {
    let read = start;
    let write = start;
    while (read < end) {
      switch (this.#state) {
        case START:
        case START_BARE:
          if (this.#dots && buffer[read] === DOT) {
            this.#dotAfterCrlf = this.#state === START;
            this.#state = DOTTED;
            read += 1;
            continue;
          }
          this.#state = INSIDE;
          break;
        case DOTTED:
          if (buffer[read] === CR) {
            this.#state = DOTTED_CARRIAGE;
            this.#carriages = 1;
            read += 1;
            continue;
          }
          if (buffer[read] === LF) {
            this.sawBareNewline = true;
            read += 1;
            if (!this.#standardEnd) {
              this.#finish(buffer, start, write, read, sink);
              return;
            }
            this.#state = START_BARE;
            continue;
          }
          this.#state = INSIDE;
          break;
        case DOTTED_CARRIAGE:
          if (buffer[read] === LF) {
            read += 1;
            this.#carriages = 0;
            if (this.#dotAfterCrlf || !this.#standardEnd) {
              this.#finish(buffer, start, write, read, sink);
              return;
            }
            this.#state = START;
            continue;
          }
          if (this.#holdsMore(buffer[read]!)) {
            read += 1;
            continue;
          }
          this.#state = CARRIAGE;
          break;
        default:
          break;
      }
      if (this.#state === CARRIAGE) {
        // The CRs came in an earlier buffer (then there may be no room for them in this one), or behind a dot.
        if (buffer[read] === LF) {
          this.#state = START;
          this.#carriages = 0;
          this.lines += 1;
          read += 1;
          buffer[write++] = LF;
          continue;
        }
        if (this.#holdsMore(buffer[read]!)) {
          read += 1;
          continue;
        }
        this.#state = INSIDE;
        if (read - write < this.#carriages) {
          if (write > start) sink.write(buffer.subarray(start, write));
          this.#writeCarriages(sink);
          this.scan(buffer, read, end, sink);
          return;
        }
        for (; this.#carriages > 0; this.#carriages -= 1) buffer[write++] = CR;
      }
      const lineStart = write;
      // One native search and one native move a line are faster than a look at each byte, except where lines are empty.
      let stop = read;
      const near = Math.min(end, read + 3);
      while (stop < near && buffer[stop] !== LF) stop += 1;
      if (stop === near && stop < end) {
        stop = buffer.indexOf(LF, stop);
        if (stop < 0 || stop > end) stop = end;
      }
      if (read !== write) buffer.copyWithin(write, read, stop);
      write += stop - read;
      read = stop;
      if (read < end) {
        read += 1;
        const carriages = this.#trailing(buffer, lineStart, write);
        if (carriages > 0) {
          write -= carriages;
          this.#state = START;
        } else {
          this.sawBareNewline = true;
          this.#state = START_BARE;
        }
        buffer[write++] = LF;
        this.lines += 1;
      } else {
        this.#carriages = this.#trailing(buffer, lineStart, write);
        if (this.#carriages > 0) {
          write -= this.#carriages;
          this.#state = CARRIAGE;
        }
      }
    }
    this.next = read;
    if (write > start) sink.write(buffer.subarray(start, write));
  }

  /** Takes a CR behind others, where a line end may have several. */
  #holdsMore(byte: number): boolean {
    if (byte !== CR || this.#standardEnd || this.#carriages >= CARRIAGES) return false;
    this.#carriages += 1;
    return true;
  }

  /** The CRs before `end` that are part of a line end, if one follows. */
  #trailing(buffer: Buffer, start: number, end: number): number {
    const first = Math.max(start, end - (this.#standardEnd ? 1 : CARRIAGES));
    let at = end;
    while (at > first && buffer[at - 1] === CR) at -= 1;
    return end - at;
  }

  #writeCarriages(sink: ContentSink): void {
    sink.write(Buffer.alloc(this.#carriages, CR));
    this.#carriages = 0;
  }

  /**
   * Ends content that has no end of its own (the last BDAT chunk): writes CRs that were held back, and ends the last
   * line where the client did not.
   */
  finish(sink: ContentSink): void {
    if (this.#state === CARRIAGE) this.#writeCarriages(sink);
    if (this.#state === INSIDE || this.#state === CARRIAGE) {
      sink.write(LINE_FEED);
      this.lines += 1;
    }
    this.ended = true;
  }

  #finish(buffer: Buffer, start: number, write: number, next: number, sink: ContentSink): void {
    this.ended = true;
    this.next = next;
    if (write > start) sink.write(buffer.subarray(start, write));
  }
}
