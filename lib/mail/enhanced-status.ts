/**
 * Enhanced mail system status codes (RFC 3463): `class.subject.detail`, as in `5.1.1`.
 *
 * Pure.
 */

/** Class: what the sender may expect. */
export type StatusClass = '2' | '4' | '5';

/** Text that begins with a status code, taken apart. */
export interface StatusAndText {
  readonly status: string;
  readonly text: string;
}

const DOT = 46;

/**
 * Length of the status code that stands at the start of the text, 0 where there is none.
 * A code is a class digit 2, 4 or 5, and two numbers of one to three digits; it ends at white space or the end.
 */
export function enhancedStatusLength(text: string): number {
  const first = text.charAt(0);
  if ((first !== '2' && first !== '4' && first !== '5') || text.charCodeAt(1) !== DOT) return 0;
  const subjectEnd = digitsEnd(text, 2);
  if (subjectEnd < 0 || text.charCodeAt(subjectEnd) !== DOT) return 0;
  const detailEnd = digitsEnd(text, subjectEnd + 1);
  if (detailEnd < 0) return 0;
  const next = text.charAt(detailEnd);
  return next === '' || next === ' ' || next === '\t' || next === '\r' || next === '\n' ? detailEnd : 0;
}

function digitsEnd(text: string, start: number): number {
  let end = start;
  while (end < start + 3 && text.charCodeAt(end) >= 48 && text.charCodeAt(end) <= 57) end++;
  return end === start ? -1 : end;
}

/** Is the whole text one status code? */
export function isEnhancedStatus(text: string): boolean {
  return text !== '' && enhancedStatusLength(text) === text.length;
}

/**
 * Splits the optional status code from a text, as table results and SMTP replies carry it (`5.1.1 User unknown`).
 * Where there is none the default is returned. A code of class 5 given where the action is temporary, or the reverse,
 * is the caller's to correct with `withStatusClass`.
 */
export function splitEnhancedStatus(text: string, defaultStatus: string): StatusAndText {
  const length = enhancedStatusLength(text);
  if (length === 0) return { status: defaultStatus, text };
  return { status: text.slice(0, length), text: text.slice(length).trimStart() };
}

/** The same status with another class: a rejection made temporary keeps its subject and detail. */
export function withStatusClass(status: string, statusClass: StatusClass): string {
  return statusClass + status.slice(1);
}

/** The class digit of a status code. */
export function statusClass(status: string): string {
  return status.charAt(0);
}
