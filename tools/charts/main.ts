/**
 * Makes what is generated in charts/: `node tools/charts/main.ts` writes values.schema.json and README.md of each chart,
 * `--check` says which of them differ from what it would write, and fails then.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from './generated-files.ts';

const CHARTS = join(import.meta.dirname, '../../charts');
const check = process.argv.includes('--check');

let stale = 0;
for (const chart of readdirSync(CHARTS).sort()) {
  for (const [name, text] of generatedFiles(CHARTS, chart)) {
    const file = join(CHARTS, chart, name);
    if (!check) writeFileSync(file, text);
    else if (readFileSync(file, 'utf8') !== text) {
      process.stderr.write(`charts/${chart}/${name} is not what its sources give: run "make charts-generate"\n`);
      stale++;
    }
  }
}
process.exitCode = stale === 0 ? 0 : 1;
