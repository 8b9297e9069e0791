/**
 * The script that the expansion adapters read: a block of `name = value` lines, an empty line, a block of patterns, an
 * empty line, and so on. Each line is echoed; each pattern is expanded and its status and result printed.
 */
import { type ExpandOptions, expand } from '../../lib/config/expand.ts';
import { splitNameValue } from '../../lib/util/split.ts';

export function runExpansionScript(
  adapter: string,
  source: string,
  options: Pick<ExpandOptions, 'comparisons' | 'functions'>,
  print: (line: string) => void,
): void {
  const values = new Map<string, string>();
  let reading: 'values' | 'patterns' = 'values';
  const lines = source.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const line of lines) {
    print(`<< ${line}`);
    if (line === '') {
      if (reading === 'patterns') {
        print('');
        values.clear();
      }
      reading = reading === 'values' ? 'patterns' : 'values';
    } else if (reading === 'values') {
      const setting = splitNameValue(line);
      if (!('error' in setting)) values.set(setting.name, setting.value);
    } else {
      const expansion = expand(line, {
        ...options,
        lookup: (name) => values.get(name),
        warn: (text) => print(`${adapter}: warning: ${text}`),
      });
      print(`stat=${Number(expansion.malformed) + 2 * Number(expansion.undefinedName)} result=${expansion.text}`);
    }
  }
}
