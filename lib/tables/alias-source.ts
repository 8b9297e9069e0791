/**
 * The text that postalias and newaliases make an index from: "name: value, value" (aliases(5)). Names and values are read
 * as address tokens: quotes of a name go, values keep theirs, a comma and a blank stand between them.
 *
 * The entries that Postfix adds for use as NIS maps (`YP_LAST_MODIFIED`, `@`) are not made.
 */
import { externalize, internalize, isOperator, scan } from '../mail/tok822.ts';
import { printable } from '../util/byte-text.ts';
import { caseFold } from '../util/case-fold.ts';
import { logicalLines } from './logical-lines.ts';
import type { SourceEntry, SourceOptions } from './postmap-source.ts';

/** The entries of an alias source; a line of another form is reported and skipped. */
export function* aliasEntries(text: string | Iterable<string>, options: SourceOptions): Generator<SourceEntry> {
  for (const line of logicalLines(text, options.file, options.warn)) {
    const entry = parseAliasLine(line.text, options);
    if (typeof entry === 'string') options.warn(`${options.file}, line ${line.number}: ${entry}`);
    else yield { ...entry, line: line.number };
  }
}

function parseAliasLine(text: string, options: SourceOptions): Omit<SourceEntry, 'line'> | string {
  const { flags } = options;
  if (flags.utf8 && !text.isWellFormed()) return `non-UTF-8 input "${printable(text)}" -- ignoring this line`;
  const tokens = scan(text);
  const colon = tokens.findIndex((token) => isOperator(token, ':'));
  if (colon <= 0 || colon === tokens.length - 1) return 'need name:value pair';
  const name = tokens.slice(0, colon);
  if (name.some((token) => isOperator(token, ','))) return 'need name:value pair';
  if (name.some((token) => isOperator(token, '@') || isOperator(token, '%'))) return 'name must be local';
  const written = internalize(name);
  const key = flags.foldFixed ? caseFold(written, flags.utf8) : written;
  return { key, written, value: externalize(tokens.slice(colon + 1)) };
}

/** Is the first entry of a source one of aliases? A table whose source is read without postalias does not say. */
export function looksLikeAliases(text: string): boolean {
  for (const line of logicalLines(text, '', () => undefined))
    return /^(?:"(?:[^"\\]|\\.)*"|[^\s":]+)\s*:(?:\s|$|[^\s:]*$)/.test(line.text);
  return false;
}
