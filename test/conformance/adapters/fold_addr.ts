/** fold_addr: case folding of the parts of an address. */
import { type FoldParts, foldAddress } from '../../../lib/mail/fold-address.ts';
import { inputLines, printLines } from '../support/tables.ts';

const PARTS: Readonly<Record<string, FoldParts>> = {
  host: { domain: true },
  user: { localpart: true },
  all: { localpart: true, domain: true },
  none: {},
};

for (const line of inputLines()) {
  const [which = '', address = ''] = line.split(' ', 2);
  printLines(`> ${line}`, `"${address}" -> "${foldAddress(address, PARTS[which] ?? {})}"`);
}
