/**
 * Headers that access(5) prepends stand in front of what the client sends: its first line must neither continue them nor
 * end the header block as a mailbox's separator would. Content without such headers is seen to by cleanup(8).
 */
import type { ContentSink } from '../../lib/smtp/data-scanner.ts';

const SPACE = 32;
const TAB = 9;
const FROM = Buffer.from('From ');
const EMPTY_LINE = Buffer.from('\n');
const MAILBOX_LINE = Buffer.from('X-Mailbox-Line: ');

/** Writes what keeps the client's bytes from `at` on apart from the headers before them. */
export function keepApart(sink: ContentSink, bytes: Buffer, at: number, end: number): void {
  if (at >= end) return;
  if (bytes[at] === SPACE || bytes[at] === TAB) sink.write(EMPTY_LINE);
  else if (bytes.subarray(at, Math.min(end, at + FROM.length)).equals(FROM)) sink.write(MAILBOX_LINE);
}
