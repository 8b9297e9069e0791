/**
 * header_checks(5) and body_checks(5): what a table says of one header or one line of a body. cleanup(8) and smtp(8)
 * share the actions that change a line; those that decide about the message are handed to the caller.
 *
 * Side effects: the tables' look-ups, and log lines through the caller. Rejects where a look-up does.
 */
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';
import type { HeaderBlockKind } from './mime.ts';

/** Looks a line up; undefined where the table says nothing of it. */
export type LineLookup = (line: string) => string | undefined | Promise<string | undefined>;

/** The tables; undefined where there is none. */
export interface HeaderBodyChecks {
  readonly header: LineLookup | undefined;
  readonly mimeHeader: LineLookup | undefined;
  readonly nestedHeader: LineLookup | undefined;
  readonly body: LineLookup | undefined;
}

export type CheckedPart = 'header' | 'body';

/** What an action is about: a line, or a broken MIME structure. */
export type CheckSubject = CheckedPart | 'mime-error';

/** Where actions are told. Texts have one character per byte and are as they came. */
export interface CheckLog {
  /** An action that was carried out: `warning`, `prepend`, … */
  action(action: string, subject: CheckSubject, content: string, text: string): void;
  /** A mistake in a table. */
  warn(text: string): void;
}

/** What becomes of the line. */
export type CheckResult =
  | { readonly result: 'keep' }
  | { readonly result: 'delete' }
  | { readonly result: 'replace'; readonly text: string }
  | { readonly result: 'prepend'; readonly text: string }
  /** An action that the caller may know: in upper case, with its text. */
  | { readonly result: 'other'; readonly action: string; readonly text: string };

const KEEP: CheckResult = { result: 'keep' };

/** The headers that mime_header_checks sees in a message's own header block, too. */
const MIME_HEADERS: ReadonlySet<string> = new Set([
  'content-description',
  'content-disposition',
  'content-id',
  'content-transfer-encoding',
  'content-type',
  'mime-version',
]);

/** The table for a header, by its block and its name in lower case (undefined for one that we made). */
export function headerTable(
  checks: HeaderBodyChecks,
  block: HeaderBlockKind,
  name: string | undefined,
): { parameter: string; lookup: LineLookup | undefined } {
  if (block === 'multipart' || (name !== undefined && MIME_HEADERS.has(name))) {
    return { parameter: 'mime_header_checks', lookup: checks.mimeHeader };
  }
  if (block === 'nested') return { parameter: 'nested_header_checks', lookup: checks.nestedHeader };
  return { parameter: 'header_checks', lookup: checks.header };
}

/** Looks up one line and carries out what concerns the line alone. Empty lines are in no table. */
export async function checkLine(
  lookup: LineLookup,
  parameter: string,
  part: CheckedPart,
  content: string,
  log: CheckLog,
): Promise<CheckResult> {
  if (content === '') return KEEP;
  const found = await lookup(toTableText(content));
  if (found === undefined) return KEEP;
  const command = fromTableText(found);
  const space = command.search(/[ \t]/);
  const action = (space < 0 ? command : command.slice(0, space)).toUpperCase();
  const text = space < 0 ? '' : command.slice(space).trim();
  return carryOut(action, text, { parameter, part, content, log });
}

interface Line {
  readonly parameter: string;
  readonly part: CheckedPart;
  readonly content: string;
  readonly log: CheckLog;
}

function carryOut(action: string, text: string, line: Line): CheckResult {
  const { parameter, part, content, log } = line;
  switch (action) {
    case 'WARN':
      log.action('warning', part, content, text);
      return KEEP;
    case 'INFO':
      log.action('info', part, content, text);
      return KEEP;
    case 'STRIP':
      log.action('strip', part, content, text);
      return { result: 'delete' };
    case 'IGNORE':
      return { result: 'delete' };
    case 'DUNNO':
    case 'OK':
      return KEEP;
    case 'REPLACE':
    case 'PREPEND': {
      const result = action === 'REPLACE' ? 'replace' : 'prepend';
      if (text === '') {
        log.warn(`${action} action without text in ${parameter} map`);
        return KEEP;
      }
      if (part === 'header' && !isHeader(text)) {
        log.warn(`bad ${action} header text "${text}" in ${parameter} map -- need "headername: headervalue"`);
        return KEEP;
      }
      log.action(result, part, content, text);
      return { result, text };
    }
    default:
      return { result: 'other', action, text };
  }
}

function isHeader(text: string): boolean {
  return /^[!-9;-~]+[ \t]*:/.test(text);
}

/** Tables hold text; what is UTF-8 in the message is looked up as such. */
function toTableText(content: string): string {
  return isAscii(content) ? content : decodeBytes(Buffer.from(content, 'latin1'));
}

function fromTableText(text: string): string {
  return isAscii(text) ? text : encodeBytes(text).toString('latin1');
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}
