/**
 * The lookup keys of a message, as header_checks(5) and body_checks(5) make them: each header with its continuation lines,
 * each line of the body. With `mime` the headers of parts and of attached messages are headers too (postmap -b -h -m).
 */
import { type MimeEvent, type MimeOptions, MimeWalker } from '../mail/mime.ts';
import { decodeBytes } from '../util/byte-text.ts';

export interface MessageKeyOptions
  extends Pick<MimeOptions, 'headerSizeLimit' | 'nestingLimit' | 'boundaryLengthLimit'> {
  readonly headers: boolean;
  readonly body: boolean;
  readonly mime: boolean;
}

/** The keys in the order of the message. */
export function* messageKeys(content: Buffer, options: MessageKeyOptions): Generator<string> {
  const walker = new MimeWalker({ ...options, report: new Set(), downgrade: false, parse: options.mime });
  for (const event of messageEvents(walker, content)) {
    if ((event.type === 'header' && options.headers) || (event.type === 'body' && options.body))
      yield decodeBytes(Buffer.from(event.text, 'latin1'));
    else if (event.type === 'header-end' && !options.mime && !options.body) return;
  }
}

/** Lines end with LF alone: a CR in front of it belongs to the line. */
function* messageEvents(walker: MimeWalker, content: Buffer): Generator<MimeEvent> {
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(0x0a, start);
    const end = newline < 0 ? content.length : newline;
    yield* walker.push(content.toString('latin1', start, end));
    start = end + 1;
  }
  yield* walker.end();
}
