/** cleanup_masquerade EXCEPTIONS DOMAINS ADDRESS: the address after masquerading. */
import { StringList } from '../../../lib/tables/match-list.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { splitOutsideBraces } from '../../../lib/util/split.ts';
import { masquerade, readMasquerade } from '../../../services/cleanup/masquerade.ts';
import { adapterContext, printLines } from '../support/tables.ts';

const LOOKUP_FAILURE = 2;

const [exceptions = '', domains = '', address = ''] = process.argv.slice(2);
await using list = await StringList.open('masquerade_exceptions', exceptions, adapterContext('cleanup_masquerade'));
const setting = readMasquerade(splitOutsideBraces(domains), exceptions === '' ? undefined : list);
let result = address;
let errors = 0;
try {
  result = await masquerade(setting, address);
} catch (error) {
  if (!(error instanceof TableError)) throw error;
  errors = LOOKUP_FAILURE;
}
printLines(
  '----------',
  `exceptions: ${exceptions}`,
  `masq_list:  ${domains}`,
  `address:    ${address}`,
  `result:     ${result}`,
  `errs:       ${errors}`,
);
