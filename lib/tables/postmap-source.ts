/**
 * The text that postmap makes an index from, and that `texthash:` reads: "key whitespace value" (postmap(1)). A line that is
 * not of that form is reported with file and line, and skipped.
 */
import { printable } from '../util/byte-text.ts';
import { caseFold } from '../util/case-fold.ts';
import { endOfQuoted, isBlank } from '../util/split.ts';
import { encodeFiles } from './file-value.ts';
import { logicalLines } from './logical-lines.ts';
import { type ResolvedFlags, TableOpenError } from './table.ts';

export interface SourceEntry {
  /** Folded where the flags say so. */
  readonly key: string;
  readonly value: string;
  /** The key before folding. */
  readonly written: string;
  /** Number of its first line, from 1. */
  readonly line: number;
}

export interface SourceOptions {
  /** Named in warnings. */
  readonly file: string;
  /** Base of the files that values name, with `valueIsFile`. */
  readonly directory: string;
  readonly flags: Pick<ResolvedFlags, 'foldFixed' | 'utf8' | 'valueIsFile'>;
  warn(text: string): void;
  /** For postmap: of a line without a value it is not said that it is ignored. */
  readonly brief?: boolean;
}

/** The entries of a postmap source, one after another; duplicates are the caller's business. */
export function* postmapEntries(text: string | Iterable<string>, options: SourceOptions): Generator<SourceEntry> {
  for (const line of logicalLines(text, options.file, options.warn)) {
    const entry = parsePostmapLine(line.text, line.number, options);
    if (entry !== undefined) yield entry;
  }
}

function parsePostmapLine(text: string, line: number, options: SourceOptions): SourceEntry | undefined {
  const complain = (what: string): undefined => {
    options.warn(`${options.file}, line ${line}: ${what} -- ignoring this line`);
    return undefined;
  };
  if (options.flags.utf8 && !text.isWellFormed()) return complain(`non-UTF-8 input "${printable(text)}"`);
  const end = endOfKey(text);
  if (end < 0) return complain(`unbalanced '"' in '${text}'`);
  const key = text.slice(0, end);
  const value = text.slice(end).trim();
  if (key === '' || value === '') {
    const expected = 'expected format: key whitespace value';
    if (options.brief !== true) return complain(expected);
    options.warn(`${options.file}, line ${line}: ${expected}`);
    return undefined;
  }
  if (key.endsWith(':')) {
    options.warn(`${options.file}, line ${line}: record is in "key: value" format; is this an alias file?`);
  }
  return finishEntry(key, value, line, options);
}

/** The key ends at the first blank outside double quotes; -1 where a quote stays open. */
function endOfKey(text: string): number {
  if (/["\\]/.test(text)) return endOfQuoted(text, isBlank);
  const blank = text.search(/[ \t\n\v\f\r]/);
  return blank < 0 ? text.length : blank;
}

function finishEntry(key: string, value: string, line: number, options: SourceOptions): SourceEntry | undefined {
  const { flags } = options;
  let result = value;
  if (flags.valueIsFile) {
    try {
      result = encodeFiles(value, options.directory);
    } catch (error) {
      if (!(error instanceof TableOpenError)) throw error;
      options.warn(`${options.file}, line ${line}: ${error.message}: skipping this entry`);
      return undefined;
    }
  }
  return { key: flags.foldFixed ? caseFold(key, flags.utf8) : key, written: key, value: result, line };
}

/** Reads entries into memory. The first of duplicate keys stays, the others are reported. */
export function collectEntries(entries: Iterable<SourceEntry>, options: SourceOptions): Map<string, string> {
  const rows = new Map<string, string>();
  for (const { key, written, value, line } of entries) {
    if (rows.has(key)) options.warn(`${options.file}, line ${line}: duplicate entry: "${printable(written)}"`);
    else rows.set(key, value);
  }
  return rows;
}
