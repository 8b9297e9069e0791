/** mail_parm_split: parameter lists whose items may stand in braces. */
import { splitParameterList } from '../../../lib/util/split.ts';
import { inputLines, logLine, printLines } from '../support/tables.ts';

for (const line of inputLines()) {
  printLines(`Input:\t>${line}<`);
  const items = splitParameterList(line, (error) => logLine('mail_parm_split', `warning: stdin: ${error}`));
  for (const item of items) printLines(`Output:\t>${item}<`);
}
