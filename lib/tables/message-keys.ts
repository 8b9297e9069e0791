/**
 * The lookup keys of a message, as header_checks(5) and body_checks(5) make them: each header with its continuation lines,
 * each line of the body. With `mime` the headers of parts and of attached messages are headers too (postmap -b -h -m).
 */
import { decodeBytes } from '../util/byte-text.ts';

export interface MessageKeyOptions {
  readonly headers: boolean;
  readonly body: boolean;
  readonly mime: boolean;
}

const HEADER = /^[!-9;-~]+[ \t]*:/;
const MAX_NESTING = 100;

/** The keys in the order of the message. Without `mime`, keys of headers end at the first line that is none. */
export function* messageKeys(content: Buffer, options: MessageKeyOptions): Generator<string> {
  const text = decodeBytes(content).replace(/\r\n/g, '\n');
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
  const walk = new MessageWalk(options.mime);
  for (const { isHeader, text: key } of walk.records(lines)) {
    if (isHeader ? options.headers : options.body) yield key;
    else if (!isHeader && !options.mime && !options.body) return;
  }
}

interface MessageRecord {
  readonly isHeader: boolean;
  readonly text: string;
}

class MessageWalk {
  readonly #mime: boolean;
  readonly #boundaries: string[] = [];
  #inHeaders = true;
  /** What the headers that are being read say about what follows them. */
  #contentType = '';

  constructor(mime: boolean) {
    this.#mime = mime;
  }

  *records(lines: readonly string[]): Generator<MessageRecord> {
    for (let at = 0; at < lines.length; ) {
      const line = lines[at]!;
      if (this.#inHeaders && HEADER.test(line)) {
        let text = line;
        for (at += 1; at < lines.length && /^[ \t]/.test(lines[at]!); at++) text += `\n${lines[at]}`;
        this.#noteContentType(text);
        yield { isHeader: true, text };
        continue;
      }
      at += 1;
      if (this.#inHeaders) this.#endHeaders();
      if (this.#mime && this.#isBoundary(line)) continue;
      // The empty line that ends the headers counts as the first line of the body.
      yield { isHeader: false, text: line };
    }
  }

  #noteContentType(header: string): void {
    const found = /^content-type[ \t]*:(.*)/is.exec(header);
    if (found !== null) this.#contentType = found[1]!.trim();
  }

  #endHeaders(): void {
    this.#inHeaders = false;
    const type = this.#contentType;
    this.#contentType = '';
    if (!this.#mime) return;
    const boundary = /;\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;]+))/i.exec(type);
    if (/^multipart\//i.test(type) && boundary !== null && this.#boundaries.length < MAX_NESTING) {
      this.#boundaries.push(boundary[1] ?? boundary[2]!);
    } else if (/^message\/(?:rfc822|global)\b/i.test(type)) this.#inHeaders = true;
  }

  #isBoundary(line: string): boolean {
    if (!line.startsWith('--')) return false;
    for (let level = this.#boundaries.length - 1; level >= 0; level--) {
      const boundary = this.#boundaries[level]!;
      if (!line.startsWith(boundary, 2)) continue;
      this.#boundaries.length = line.startsWith('--', 2 + boundary.length) ? level : level + 1;
      this.#inHeaders = this.#boundaries.length === level + 1;
      return true;
    }
    return false;
  }
}
