/**
 * A walk through the MIME structure of a message (RFC 2045, RFC 2046), line by line: which lines are headers of the
 * message, of its parts and of messages inside of it, and which are body. What goes in comes out, byte for byte and in
 * order, but for what is named here:
 *
 * - A header longer than `headerSizeLimit` loses its end.
 * - Blanks between a header's name and its colon go.
 * - A primary header that ends without an empty line gets one.
 * - With `downgrade`, bodies declared as 8-bit or binary become quoted-printable, and their declarations say so.
 *
 * Input is records: lines without their ends, or pieces of lines too long for one record, as strings with one character
 * per byte. Output is events. A boundary is recognised by its beginning, as receivers do.
 *
 * Pure: nothing is logged, and no message is refused; what is wrong with one is an event. Memory is bounded by the header
 * size, the nesting and the boundary length.
 */
import { MimeTokens } from './mime-token.ts';
import { QuotedPrintableEncoder } from './quoted-printable.ts';

/** Whose header block: the message's, a part's, or that of a message inside of it. */
export type HeaderBlockKind = 'primary' | 'multipart' | 'nested';

/** What can be wrong with the structure of a message. */
export type MimeErrorKind =
  | 'nesting'
  | 'truncated-header'
  | '8bit-in-header'
  | '8bit-in-7bit-body'
  | 'encoding-domain'
  | 'non-empty-end-of-header';

export type MimeEvent =
  | {
      readonly type: 'header';
      readonly block: HeaderBlockKind;
      /** In lower case; undefined for a header of our own making. */
      readonly name: string | undefined;
      /** The whole header, its lines joined by LF. */
      readonly text: string;
      readonly offset: number;
    }
  /** The primary header block is over. */
  | { readonly type: 'header-end' }
  | {
      readonly type: 'body';
      /** False for a piece of a line that goes on. */
      readonly complete: boolean;
      readonly text: string;
      readonly offset: number;
    }
  | { readonly type: 'body-end' }
  /** `reason` names the problem, `text` where it was met, unbounded and with all its bytes. */
  | { readonly type: 'error'; readonly kind: MimeErrorKind; readonly reason: string; readonly text: string }
  /** For people who look for the reason of something. */
  | { readonly type: 'trace'; readonly text: string };

export interface MimeOptions {
  /** header_size_limit: a line that begins beyond so many bytes of a header is dropped. */
  readonly headerSizeLimit: number;
  /** mime_nesting_limit */
  readonly nestingLimit: number;
  /** mime_boundary_length_limit: of longer boundaries the beginning counts. */
  readonly boundaryLengthLimit: number;
  /** Which problems are events. */
  readonly report: ReadonlySet<MimeErrorKind>;
  /** disable_mime_output_conversion is off and the receiver takes 7 bits only. */
  readonly downgrade: boolean;
  /** False where disable_mime_input_processing is on: after the first header block all is body. */
  readonly parse?: boolean;
  /** Trace events are wanted. */
  readonly trace?: boolean;
}

/** Detail texts of the problems, in the order in which Postfix names them, with the status code of a refusal. */
export const MIME_ERRORS: ReadonlyMap<MimeErrorKind, { readonly status: string; readonly text: string }> = new Map([
  ['nesting', { status: '5.6.0', text: 'MIME nesting exceeds safety limit' }],
  ['truncated-header', { status: '5.6.0', text: 'message header length exceeds safety limit' }],
  ['8bit-in-header', { status: '5.6.0', text: 'improper use of 8-bit data in message header' }],
  ['8bit-in-7bit-body', { status: '5.6.0', text: 'improper use of 8-bit data in message body' }],
  ['encoding-domain', { status: '5.6.0', text: 'improper message/* or multipart/* encoding domain' }],
  ['non-empty-end-of-header', { status: '5.6.0', text: 'non-empty end-of-header' }],
]);

type Encoding = '7bit' | '8bit' | 'binary' | 'base64' | 'quoted-printable';
/** The bytes that an encoding can hold: its domain. */
const DOMAINS: Readonly<Record<Encoding, '7bit' | '8bit' | 'binary'>> = {
  '7bit': '7bit',
  '8bit': '8bit',
  binary: 'binary',
  base64: '7bit',
  'quoted-printable': '7bit',
};

/** Messages whose headers are looked at; `message/partial` and `message/external-body` are opaque. */
const WHOLE_MESSAGES: ReadonlySet<string> = new Set(['rfc822', 'global']);
const OPAQUE_MESSAGES: ReadonlySet<string> = new Set(['partial', 'external-body']);

interface Multipart {
  readonly boundary: string;
  /** multipart/digest: parts are messages unless they say otherwise. */
  readonly digest: boolean;
  /** Nesting level inside of it. */
  readonly level: number;
}

const NOT_ASCII = /[\x80-\uffff]/;

/** Walks through one message. */
export class MimeWalker {
  readonly #options: MimeOptions;
  #events: MimeEvent[] = [];
  /** The header block that is read; undefined inside of a body. */
  #block: HeaderBlockKind | undefined = 'primary';
  /** The header that is being collected, and its name in lower case. */
  #header = '';
  #name = '';
  #truncated = false;
  #afterPiece = false;
  /** Lines of the header block so far, but for the first header line; counted when a line comes in. */
  #headerOffset = 0;
  #bodyOffset = 0;
  /** Open multiparts, outermost first. */
  readonly #open: Multipart[] = [];
  #level = -1;
  #type = 'text';
  #subtype = 'plain';
  #encoding: Encoding = '7bit';
  #encoder: QuotedPrintableEncoder | undefined;

  constructor(options: MimeOptions) {
    this.#options = options;
  }

  /** Takes a line, or a piece of one where it is not complete. */
  push(text: string, complete = true): MimeEvent[] {
    this.#events = [];
    if (this.#block === undefined) this.#bodyRecord(text, complete);
    else this.#headerRecord(this.#block, text, complete);
    this.#afterPiece = !complete;
    return this.#events;
  }

  /** The message is over. */
  end(): MimeEvent[] {
    this.#events = [];
    if (this.#block !== undefined) this.#endHeaders(this.#block);
    const rest = this.#encoder?.finish();
    if (rest !== undefined) this.#bodyOut(rest, false);
    this.#events.push({ type: 'body-end' });
    return this.#events;
  }

  /** Lets go of what is open; for its trace. */
  close(): MimeEvent[] {
    this.#events = [];
    this.#popTo(0);
    return this.#events;
  }

  #headerRecord(block: HeaderBlockKind, text: string, complete: boolean): void {
    const inHeader = this.#header !== '';
    if (this.#afterPiece) {
      // The rest of a long header line, or of a boundary line in front of the block.
      if (inHeader) this.#append(text);
      else this.#bodyOut(text, complete);
      return;
    }
    if (inHeader && (text.startsWith(' ') || text.startsWith('\t'))) {
      this.#append(`\n${text}`);
      return;
    }
    if (inHeader) this.#flushHeader(block);
    const name = HEADER.exec(text);
    if (name !== null) {
      if (inHeader) this.#headerOffset += text.length + 1;
      this.#name = name[1]!.toLowerCase();
      this.#append(name[1]! + text.slice(name[0].length - 1));
    } else if (text === '' && complete) {
      this.#endHeaders(block);
      this.#bodyOut('', true);
      if (this.#type === 'message' && WHOLE_MESSAGES.has(this.#subtype)) this.#enterMessage();
    } else {
      this.#garbage(block, text, complete);
    }
  }

  #append(text: string): void {
    if (this.#header.length < this.#options.headerSizeLimit) {
      this.#header += text;
    } else if (!this.#truncated) {
      this.#truncated = true;
      this.#error('truncated-header', this.#header);
    }
  }

  /** A line that is no header ends the block. Only the message itself needs an empty line in its place. */
  #garbage(block: HeaderBlockKind, text: string, complete: boolean): void {
    if (block === 'primary') {
      this.#error('non-empty-end-of-header', text, 'primary header was terminated with non-empty line');
    }
    this.#endHeaders(block);
    this.#trace(`garbage in ${block} header`);
    if (block === 'primary') {
      this.#bodyOut('', true);
      this.#bodyOffset = 0;
    }
    this.#bodyRecord(text, complete);
  }

  /** Reads what the collected header says of the structure, and gives it out. */
  #flushHeader(block: HeaderBlockKind): void {
    const text = this.#header;
    const name = this.#name;
    this.#header = '';
    this.#truncated = false;
    if (this.#options.parse === false) {
      // Nobody looks inside.
    } else if (name === 'content-type') this.#contentType(text);
    else if (name === 'content-transfer-encoding') this.#contentTransferEncoding(text);
    if (NOT_ASCII.test(text)) this.#error('8bit-in-header', text);
    // What is converted is declared anew at the end of the block, when the content type is known.
    if (name === 'content-transfer-encoding' && this.#isDowngraded()) return;
    this.#events.push({ type: 'header', block, name, text, offset: this.#headerOffset });
  }

  #isDowngraded(): boolean {
    return this.#options.downgrade && DOMAINS[this.#encoding] !== '7bit';
  }

  #isComposite(): boolean {
    return this.#type === 'multipart' || this.#type === 'message';
  }

  #endHeaders(block: HeaderBlockKind): void {
    if (this.#header !== '') this.#flushHeader(block);
    if (this.#isDowngraded()) {
      const encoding = this.#isComposite() ? '7bit' : 'quoted-printable';
      const text = `Content-Transfer-Encoding: ${encoding}`;
      this.#events.push({ type: 'header', block, name: undefined, text, offset: this.#headerOffset });
      if (!this.#isComposite()) this.#encoder = new QuotedPrintableEncoder();
    }
    if (block === 'primary') this.#events.push({ type: 'header-end' });
    this.#checkDomain();
    this.#block = undefined;
    this.#headerOffset = 0;
  }

  /** Composite types hold parts with encodings of their own, and have none themselves (RFC 2045 section 6.4). */
  #checkDomain(): void {
    if (!this.#isComposite()) return;
    const domain = DOMAINS[this.#encoding];
    if (this.#type === 'message' && OPAQUE_MESSAGES.has(this.#subtype)) {
      const reason = 'invalid message/partial or message/external-body encoding domain';
      if (this.#encoding !== '7bit') this.#error('encoding-domain', this.#encoding, reason);
    } else if (this.#encoding !== domain) {
      this.#error('encoding-domain', this.#encoding, 'invalid message/* or multipart/* encoding domain');
    }
  }

  #contentType(header: string): void {
    const tokens = new MimeTokens(header.slice(header.indexOf(':') + 1));
    const [type = '', slash, subtype = ''] = this.#nextGroup(tokens) ?? [];
    this.#type = slash === '/' ? type.toLowerCase() : 'other';
    this.#subtype = slash === '/' ? subtype.toLowerCase() : '';
    if (this.#type !== 'multipart') return;
    for (let group = this.#nextGroup(tokens); group !== undefined; group = this.#nextGroup(tokens)) {
      const [name = '', equals, value = ''] = group;
      if (name.toLowerCase() !== 'boundary' || equals !== '=' || value === '') continue;
      this.#openMultipart(value, header);
      return;
    }
  }

  #contentTransferEncoding(header: string): void {
    const tokens = new MimeTokens(header.slice(header.indexOf(':') + 1));
    const encoding = (this.#nextGroup(tokens)?.[0] ?? '').toLowerCase();
    if (Object.hasOwn(DOMAINS, encoding)) this.#encoding = encoding as Encoding;
  }

  #nextGroup(tokens: MimeTokens): string[] | undefined {
    const group = tokens.next();
    const [first = '', second = '', third = ''] = group ?? [];
    if (group !== undefined && group.length > 0) this.#trace(`header_token: ${first} ${second} ${third}`);
    return group;
  }

  #openMultipart(value: string, header: string): void {
    if (this.#level > this.#options.nestingLimit) {
      this.#error('nesting', header);
      return;
    }
    const boundary = value.slice(0, this.#options.boundaryLengthLimit);
    this.#level++;
    this.#open.push({ boundary, digest: this.#subtype === 'digest', level: this.#level });
    this.#trace(`PUSH boundary ${boundary}`);
  }

  /** A message inside of the message: its headers follow the empty line. */
  #enterMessage(): void {
    if (this.#level > this.#options.nestingLimit) {
      this.#error('nesting', `${this.#type}/${this.#subtype}`);
      return;
    }
    this.#level++;
    this.#startPart('nested', false);
  }

  /** What comes next: a header block, or a body without one. */
  #startPart(block: HeaderBlockKind | undefined, digest: boolean): void {
    this.#block = block;
    this.#type = digest ? 'message' : 'text';
    this.#subtype = digest ? 'rfc822' : 'plain';
    this.#encoding = '7bit';
    this.#encoder = undefined;
    this.#headerOffset = 0;
    this.#bodyOffset = 0;
  }

  #bodyRecord(text: string, complete: boolean): void {
    if (!this.#afterPiece && this.#open.length > 0 && text.startsWith('--') && this.#boundary(text, complete)) return;
    if (this.#encoder !== undefined) {
      for (const line of this.#encoder.encode(text, complete)) this.#bodyOut(line, true);
      return;
    }
    if (DOMAINS[this.#encoding] === '7bit' && NOT_ASCII.test(text)) this.#error('8bit-in-7bit-body', text);
    this.#bodyOut(text, complete);
  }

  /** Leaves the parts that a boundary ends. Returns false where the line is none of the open boundaries. */
  #boundary(text: string, complete: boolean): boolean {
    const depth = this.#open.findLastIndex(({ boundary }) => text.startsWith(boundary, 2));
    const part = this.#open[depth];
    if (part === undefined) return false;
    this.#popTo(depth + 1);
    this.#level = part.level;
    this.#encoder = undefined;
    if (text.startsWith('--', 2 + part.boundary.length)) {
      // The end of the multipart: what follows is an epilogue that nobody reads.
      this.#popTo(depth);
      this.#level = part.level - 1;
      this.#startPart(undefined, false);
      this.#bodyOut(text, complete);
    } else {
      this.#bodyOut(text, complete);
      this.#startPart('multipart', part.digest);
    }
    return true;
  }

  #popTo(depth: number): void {
    while (this.#open.length > depth) this.#trace(`POP boundary ${this.#open.pop()!.boundary}`);
  }

  #bodyOut(text: string, complete: boolean): void {
    this.#events.push({ type: 'body', complete, text, offset: this.#bodyOffset });
    this.#bodyOffset += text.length + 1;
  }

  #error(kind: MimeErrorKind, text: string, reason = MIME_ERRORS.get(kind)!.text): void {
    if (this.#options.report.has(kind)) this.#events.push({ type: 'error', kind, reason, text });
  }

  #trace(text: string): void {
    if (this.#options.trace) this.#events.push({ type: 'trace', text });
  }
}

/** A header's name: printable ASCII but the colon, then blanks, then the colon. */
const HEADER = /^([!-9;-~]+)[ \t]*:/;
