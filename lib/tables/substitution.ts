/**
 * `$1`, `${1}` and `$(1)` in the results of patterns, `$$` for a dollar sign (regexp_table(5), TEXT SUBSTITUTION). The text is
 * read once, when the table is opened.
 */

/** Literal texts and group numbers, in order. */
export type ReplacementPart = string | number;

export interface Replacement {
  readonly parts: readonly ReplacementPart[];
  /** The highest group number, 0 where there is none. */
  readonly highest: number;
}

/** What is wrong with a text, for log lines of their own; `prefixed` ones name the table and the line in front. */
export interface ReplacementError {
  readonly text: string;
  readonly prefixed: boolean;
}

/** `outOfRange` is how the table type says that there is no such group. */
export function parseReplacement(text: string, outOfRange: string): Replacement | ReplacementError {
  const parts: ReplacementPart[] = [];
  let highest = 0;
  let literal = '';
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    if (character !== '$' || text[at + 1] === '$') {
      literal += character;
      at += character === '$' ? 2 : 1;
      continue;
    }
    const macro = readMacro(text, at, outOfRange);
    if ('text' in macro) return macro;
    if (literal !== '') parts.push(literal);
    literal = '';
    parts.push(macro.number);
    highest = Math.max(highest, macro.number);
    at = macro.end;
  }
  if (literal !== '' || parts.length === 0) parts.push(literal);
  return { parts, highest };
}

function readMacro(text: string, at: number, outOfRange: string): { number: number; end: number } | ReplacementError {
  const open = text[at + 1];
  const close = open === '{' ? '}' : open === '(' ? ')' : '';
  let end: number;
  let name: string;
  if (close === '') {
    name = /^\w*/.exec(text.slice(at + 1))![0];
    end = at + 1 + name.length;
  } else {
    const found = text.indexOf(close, at);
    if (found < 0) return { text: `truncated macro reference: "${text}"`, prefixed: false };
    name = text.slice(at + 2, found);
    end = found + 1;
  }
  if (name === '') return { text: `empty macro name: "${text}"`, prefixed: false };
  if (!/^\d+$/.test(name)) return { text: `non-numeric replacement index "${name}"`, prefixed: true };
  const number = Number(name);
  return number > 0 ? { number, end } : { text: `${outOfRange} replacement index "${name}"`, prefixed: true };
}

/** The text with its groups filled in; a group that took no part in the match is empty. */
export function substitute(parts: readonly ReplacementPart[], groups: readonly (string | undefined)[]): string {
  let text = '';
  for (const part of parts) text += typeof part === 'string' ? part : (groups[part] ?? '');
  return text;
}
