/**
 * Splitting of parameter values at blanks and commas, where text inside `{ }` stays together, as main.cf lists and the
 * arguments of master.cf commands are written. Pure.
 */

export interface SplitOptions {
  /** Characters between items. Default: comma and blanks. */
  readonly separators?: string;
  /** Remove the braces around an item, with the blanks inside them; default: items keep their braces. */
  readonly stripBraces?: boolean;
  /** Told about a brace that is not closed, or text right after a closing one. */
  readonly warn?: (text: string) => void;
}

export const blankCharacters = ' \t\r\n\v\f';
export const listSeparators = `,${blankCharacters}`;

/**
 * Where the brace group that opens at `start` ends (the position after its `}`), or -1 when it stays open.
 */
export function closingBrace(text: string, start: number): number {
  for (let level = 0, at = start; at < text.length; at++) {
    if (text[at] === '{') level++;
    else if (text[at] === '}' && --level === 0) return at + 1;
  }
  return -1;
}

/** The items of a list, in order, without empty ones. */
export function splitList(text: string, options: SplitOptions = {}): string[] {
  const separators = options.separators ?? listSeparators;
  const items: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (separators.includes(text[at]!)) {
      at++;
      continue;
    }
    const start = at;
    let level = 0;
    for (; at < text.length && (level > 0 || !separators.includes(text[at]!)); at++) {
      if (text[at] === '{') level++;
      else if (text[at] === '}' && level > 0) level--;
    }
    const item = text.slice(start, at);
    items.push(options.stripBraces === true && item.startsWith('{') ? stripBraces(item, options.warn) : item);
  }
  return items;
}

/** The text inside the braces that `item` begins with, without blanks at its ends. */
export function stripBraces(item: string, warn?: (text: string) => void): string {
  const end = closingBrace(item, 0);
  if (end < 0) {
    warn?.(`missing '}' in "${item}"`);
    return item.slice(1).trim();
  }
  if (end < item.length) warn?.(`syntax error after '}' in "${item}"`);
  return item.slice(1, end - 1).trim();
}

/** `name = value` split at its first `=`; a message instead when a part is missing. */
export function splitNameValue(text: string): { name: string; value: string } | { error: string } {
  const trimmed = text.trim();
  const equals = trimmed.indexOf('=');
  if (equals === 0) return { error: `missing attribute name: "${trimmed}"` };
  const name = equals < 0 ? '' : trimmed.slice(0, equals).trimEnd();
  if (name === '' || /\s/.test(name)) return { error: `missing '=' after attribute name: "${trimmed}"` };
  return { name, value: trimmed.slice(equals + 1).trim() };
}
