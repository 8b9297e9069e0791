/**
 * Splitting of parameter values: separators outside braces, `{ text }` for items that hold blanks or commas, and
 * `name = value` pairs, as main.cf and master.cf use them (postconf(5), "-o { name = value }").
 */

export const COMMA_OR_BLANK = ', \t\r\n';
export const BLANK = ' \t\r\n';

/**
 * Splits at separator characters that are not inside braces; nothing is removed from the items. A brace that is never
 * closed takes the rest of the text.
 */
export function splitOutsideBraces(text: string, separators: string = COMMA_OR_BLANK): string[] {
  const items: string[] = [];
  let start = -1;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (depth === 0 && separators.includes(character)) {
      if (start >= 0) items.push(text.slice(start, at));
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (character === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
  }
  if (start >= 0) items.push(text.slice(start));
  return items;
}

/** The text of a braced item, and what was wrong with its braces; the text is usable even then. */
export interface BracedText {
  readonly text: string;
  readonly error?: string;
}

/** Removes the braces around `{ text }` and the blanks beside them. */
export function unbrace(item: string): BracedText {
  const end = closingBrace(item);
  if (end < 0) return { text: item.slice(1).trim(), error: `missing '}' in "${item}"` };
  const text = item.slice(1, end).trim();
  if (end !== item.length - 1) return { text, error: `syntax error after '}' in "${item}"` };
  return { text };
}

/** The place of the brace that closes the one at the start, -1 where there is none. */
function closingBrace(item: string): number {
  let depth = 0;
  for (let at = 0; at < item.length; at++) {
    if (item[at] === '{') depth += 1;
    else if (item[at] === '}' && --depth === 0) return at;
  }
  return -1;
}

/** Splits a parameter value whose items may stand in braces, for instance import_environment. */
export function splitParameterList(
  text: string,
  onError: (error: string) => void,
  separators: string = COMMA_OR_BLANK,
): string[] {
  return splitOutsideBraces(text, separators).map((item) => {
    if (!item.startsWith('{')) return item;
    const braced = unbrace(item);
    if (braced.error !== undefined) onError(braced.error);
    return braced.text;
  });
}

export type NameValue = { readonly name: string; readonly value: string } | { readonly error: string };

/** Splits `name = value`; blanks around either part go. The name ends at the first blank or equals sign. */
export function splitNameValue(text: string): NameValue {
  const trimmed = text.trim();
  const end = /[=\s]/.exec(trimmed)?.index ?? trimmed.length;
  return end === 0 ? { error: 'missing attribute name' } : splitAt(trimmed, end);
}

/**
 * The same where the name is a lookup key: a blank or equals sign in double quotes or behind a backslash belongs to it,
 * so that it can be a quoted localpart, and it may be empty.
 */
export function splitKeyValue(text: string): NameValue {
  const trimmed = text.trim();
  const end = endOfQuoted(trimmed, (character) => character === '=' || isBlank(character));
  return end < 0 ? { error: `unbalanced '"' in '${trimmed}'` } : splitAt(trimmed, end);
}

function splitAt(text: string, end: number): NameValue {
  const rest = text.slice(end).trimStart();
  if (!rest.startsWith('=')) return { error: "missing '=' after attribute name" };
  return { name: text.slice(0, end), value: rest.slice(1).trim() };
}

/** White space of the C locale. */
export function isBlank(character: string): boolean {
  return character === ' ' || (character >= '\t' && character <= '\r');
}

/**
 * Where a text first has a character that ends it outside double quotes and not behind a backslash; its length where it
 * has none, -1 where a quote stays open.
 */
export function endOfQuoted(text: string, ends: (character: string) => boolean): number {
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\') at += 1;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && ends(character)) return at;
  }
  return quoted ? -1 : text.length;
}
