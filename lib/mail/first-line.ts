/**
 * What a client sends must stand apart from the headers that are put in front of it: its first line must neither continue
 * them, nor end the header block as the separator of a mailbox file would. Pure.
 */
const SPACE = 32;
const TAB = 9;
const GREATER = 62;
const UPPER_F = 70;
const MAILBOX_LINE = /^>*From /;
/** Octets of the line that are looked at. */
const LOOKED_AT = 1024;
const NOTHING = Buffer.alloc(0);
const EMPTY_LINE = Buffer.from('\n');
const AS_HEADER = Buffer.from('X-Mailbox-Line: ');

/**
 * What goes between our own headers and the content: a line of a mailbox file becomes a header, and content that begins
 * with a blank has no headers at all.
 */
export function introduction(content: Buffer): Buffer {
  if (content[0] === SPACE || content[0] === TAB) return EMPTY_LINE;
  const first = content[0] === GREATER || content[0] === UPPER_F;
  return first && MAILBOX_LINE.test(content.toString('latin1', 0, LOOKED_AT)) ? AS_HEADER : NOTHING;
}
