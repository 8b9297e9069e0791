/**
 * README.md of a chart: its introduction (README.head.md), and a table of all values from the comments of values.yaml. Pure.
 */
import { parse } from 'yaml';
import { readValueComments } from './value-comments.ts';

const NOTE = '<!-- Made by "make charts-generate" from README.head.md and values.yaml. -->';

export function chartReadme(head: string, valuesYaml: string): string {
  const values: unknown = parse(valuesYaml);
  const comments = readValueComments(valuesYaml);
  const names = new Set(comments.map(({ path }) => path.join('.')));
  const isGroup = (name: string): boolean => [...names].some((other) => other.startsWith(`${name}.`));
  const rows = comments.map(({ path, text }) => {
    const name = path.join('.');
    return `| \`${name}\` | ${isGroup(name) ? '' : cell(valueAt(values, path))} | ${cellText(text)} |`;
  });
  return `${NOTE}\n${head.trim()}\n\n## Values\n\n| value | default | |\n|---|---|---|\n${rows.join('\n')}\n`;
}

function valueAt(values: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], values);
}

const LONGEST = 60;

function cell(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > LONGEST ? 'see values.yaml' : `\`${cellText(text)}\``;
}

const cellText = (text: string): string => text.replaceAll('|', '\\|');
