/** format_tv: durations as the log shows them. */
import { formatSeconds } from '../../../lib/util/format-time.ts';
import { inputLines, printLines } from '../support/tables.ts';

for (const line of inputLines()) {
  printLines(`>> ${line}`);
  const [seconds = 0, significantDigits = 0, maximalDecimals = 0] = line.trim().split(/\s+/).map(Number);
  printLines(formatSeconds(seconds * 1e6, significantDigits, maximalDecimals));
}
