/**
 * Logical lines of main.cf, master.cf and table sources: a line that starts with blank space continues the one before;
 * empty lines and lines whose first visible character is `#` are skipped, also between continuation lines.
 * Pure; the caller decides what a continuation of nothing means. @see postconf(5), master(5)
 */

export interface LogicalLine {
  /** The text with its continuation lines, without line ends and trailing blanks. */
  readonly text: string;
  /** Number of its first and last physical line, counted from 1. */
  readonly line: number;
  readonly lastLine: number;
}

/** All logical lines; one that starts with blank space has nothing before it to continue. */
export function* logicalLines(source: string): Generator<LogicalLine> {
  let text: string | undefined;
  let line = 0;
  let lastLine = 0;
  let number = 0;
  for (let start = 0; start < source.length; ) {
    const newline = source.indexOf('\n', start);
    const end = newline < 0 ? source.length : newline;
    const physical = source.slice(start, end);
    start = end + 1;
    number++;
    const visible = physical.trimStart();
    if (visible === '' || visible.startsWith('#')) continue;
    if (visible.length < physical.length && text !== undefined) {
      text += physical;
      lastLine = number;
      continue;
    }
    if (text !== undefined) yield { text: text.trimEnd(), line, lastLine };
    text = physical;
    line = number;
    lastLine = number;
  }
  if (text !== undefined) yield { text: text.trimEnd(), line, lastLine };
}
