/** valid_hostname: complaints about host names and numerical addresses. */
import { addressProblem, hostnameProblem } from '../../../lib/util/hostname.ts';
import { inputLines, logLine } from '../support/tables.ts';

const log = (text: string): void => logLine('valid_hostname', text);

for (const line of inputLines()) {
  log(`testing: "${line}"`);
  const problems = [hostnameProblem(line, { wildcard: true }), line.includes('*') ? undefined : addressProblem(line)];
  for (const problem of problems) if (problem !== undefined) log(`warning: ${problem}`);
}
