/** ip_match: patterns of IPv4 addresses for DNS list replies. */
import { formatIpPattern, matchesIpPattern, parseIpPattern } from '../../../lib/util/ip-match.ts';
import { inputLines, printLines } from '../support/tables.ts';

for (const line of inputLines()) {
  printLines(`> ${line}`);
  const [text = '', ...addresses] = line.split(/[ \t]+/).filter((word) => word !== '');
  const pattern = parseIpPattern(text);
  if ('error' in pattern) {
    printLines(`Error: ${pattern.error}`);
    continue;
  }
  printLines(`Code: ${formatIpPattern(pattern)}`);
  for (const address of addresses) printLines(`Match ${address}: ${matchesIpPattern(pattern, address) ? 'yes' : 'no'}`);
}
