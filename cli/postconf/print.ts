/**
 * How postconf writes a setting: `name = value`, folded at 80 columns or not, or as one JSON object a line. Blanks in a
 * value, line ends among them, are written as one.
 */
import type { Options } from './options.ts';

const lineLimit = 80;
export const indent = '    ';

type Style = Pick<Options, 'fold' | 'hideNames' | 'hideValues' | 'json'>;

/** The words of a text, blanks collapsed. */
export function words(text: string): string[] {
  return text.split(/[ \t\r\n\v\f]+/).filter((word) => word !== '');
}

/** Words after a text, on its line or folded into indented lines of at most `limit` columns. */
export function foldWords(start: string, items: readonly string[], limit: number): string {
  let text = start;
  let column = start.length - (start.lastIndexOf('\n') + 1);
  for (const item of items) {
    if (column + 1 + item.length > limit) {
      text += `\n${indent}${item}`;
      column = indent.length + item.length;
    } else {
      text += ` ${item}`;
      column += 1 + item.length;
    }
  }
  return text;
}

/** One setting as a line, without the line end. */
export function formatSetting(name: string, value: string, style: Style): string {
  if (style.json) return `{${JSON.stringify(name)}: ${JSON.stringify(words(value).join(' '))}}`;
  if (style.hideValues) return name;
  const limit = style.fold ? lineLimit : Number.POSITIVE_INFINITY;
  const [first = '', ...rest] = words(value);
  return style.hideNames ? foldWords(first, rest, limit) : foldWords(`${name} =`, words(value), limit);
}
