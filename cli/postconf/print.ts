/**
 * How postconf writes a setting: `name = value`, folded at 80 columns or not, or as one JSON object a line. Blanks in a
 * value, line ends among them, are written as one.
 */
import type { Options } from './options.ts';

const lineLimit = 80;
const indent = '    ';

type Style = Pick<Options, 'fold' | 'hideNames' | 'hideValues' | 'json'>;

/** The words of a text, blanks collapsed. */
export function words(text: string): string[] {
  return text.split(/[ \t\r\n\v\f]+/).filter((word) => word !== '');
}

/** Words on one line, or folded into lines of at most 80 columns with the continuation indented. */
export function foldWords(items: readonly string[], fold: boolean, column = 0): string {
  let text = '';
  let length = column;
  for (const item of items) {
    if (text === '' && column === 0) {
      text = item;
      length = item.length;
    } else if (fold && length + 1 + item.length > lineLimit) {
      text += `\n${indent}${item}`;
      length = indent.length + item.length;
    } else {
      text += `${length === 0 || text.endsWith('\n') ? '' : ' '}${item}`;
      length += 1 + item.length;
    }
  }
  return text;
}

/** One setting as a line, without the line end. */
export function formatSetting(name: string, value: string, style: Style): string {
  if (style.json) return `{${JSON.stringify(name)}: ${JSON.stringify(words(value).join(' '))}}`;
  if (style.hideValues) return name;
  if (style.hideNames) return foldWords(words(value), style.fold);
  return foldWords([`${name} =`, ...words(value)], style.fold);
}
