/** compat_level: -x expands patterns with level comparisons, -c converts levels to numbers and back. */
import { readFileSync, writeSync } from 'node:fs';
import { formatCompatibilityLevel, parseCompatibilityLevel } from '../../../lib/config/compatibility-level.ts';
import { comparisons } from '../../../lib/config/expressions.ts';
import { runExpansionScript } from '../expansion-script.ts';

const print = (line: string): void => void writeSync(1, `${line}\n`);
const input = readFileSync(0, 'utf8');

if (process.argv[2] === '-x') {
  runExpansionScript('compat_level', input, { comparisons }, print);
} else {
  for (const line of input.split('\n').filter((text) => text !== '')) {
    const level = parseCompatibilityLevel(line);
    if (level === undefined) print(`compat_level: warning: malformed compatibility level syntax: "${line}"`);
    else {
      print(`compat_level: ${line} -> 0x${level.toString(16)}`);
      print(`compat_level: 0x${level.toString(16)}->${formatCompatibilityLevel(level)}`);
    }
  }
}
