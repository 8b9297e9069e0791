/** rewrite_clnt: lines `RULE ADDRESS`, with addresses in external form, rewritten by the case's main.cf. */
import { Configuration } from '../../../lib/config/settings.ts';
import { rewriteExternal } from '../../../services/trivial-rewrite/rewrite.ts';
import { readSettings } from '../../../services/trivial-rewrite/settings.ts';
import { inputLines, printLines } from '../support/tables.ts';

const settings = readSettings(
  Configuration.load(process.cwd(), { overrides: new Map([['compatibility_level', '3.12']]) }),
);

for (const line of inputLines()) {
  const [rule = ''] = line.split(' ', 1);
  const address = line.slice(rule.length + 1);
  const context = rule === 'remote' ? settings.remote : settings.local;
  const rewritten = rewriteExternal(context, address);
  printLines(`rule       ${rule}`, `address    ${address}`, `result     ${rewritten}`, '');
}
