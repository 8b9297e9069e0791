/** mac_expand: expands patterns with a family of length comparisons and a function of the test's own. */
import { readFileSync, writeSync } from 'node:fs';
import { runExpansionScript } from '../expansion-script.ts';

runExpansionScript(
  'mac_expand',
  readFileSync(0, 'utf8'),
  {
    comparisons: new Map([['length', (left: string, right: string) => left.length - right.length]]),
    functions: new Map([['test_named_fn', () => '-=oOxOo=-']]),
  },
  (line) => writeSync(1, `${line}\n`),
);
