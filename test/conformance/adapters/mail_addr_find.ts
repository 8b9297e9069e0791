/** mail_addr_find: the keys that are tried for an address, in the order of the strategies. */
import { type AddressStrategy, DEFAULT_STRATEGY, findAddress } from '../../../lib/tables/address-lookup.ts';
import type { Maps } from '../../../lib/tables/maps.ts';
import { DomainList } from '../../../lib/tables/match-list.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { adapterContext, inputLines, printLines } from '../support/tables.ts';

const STRATEGY_NAMES: Readonly<Record<string, AddressStrategy>> = {
  full: { full: true },
  noext: { withoutExtension: true },
  localpart_if_local: { localpartIfLocal: true },
  localpart_at_if_local: { localpartAtIfLocal: true },
  at_domain: { atDomain: true },
  domain: { domain: true },
  pdms: { parentDomains: true },
  pddms: { dotParentDomains: true },
  localpart_at: { localpartAt: true },
  default: DEFAULT_STRATEGY,
};

const context = adapterContext('mail_addr_find');
await using local = await DomainList.open('mydestination', 'localhost.localdomain', context);
let maps: Maps | undefined;

async function test(spec: string): Promise<string> {
  const [inputForm = '', queryForm = '', outputForm = '', strategies = ''] = spec.split(':', 4);
  const address = spec.split(':').slice(4).join(':');
  const options = {
    recipientDelimiter: '+',
    isLocalDomain: (domain: string) => local.matches(domain),
    inputForm: inputForm as 'internal',
    queryForm: queryForm as 'internal',
    outputForm: outputForm as 'internal',
    strategy: Object.assign({}, ...strategies.split('|').map((name) => STRATEGY_NAMES[name])) as AddressStrategy,
  };
  let result: string;
  let extension: string | undefined;
  try {
    const match = await findAddress(maps!, address, options);
    result = match?.value ?? '(not found)';
    extension = match?.extension;
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    result = '(try again)';
  }
  return `${inputForm}:${address} -${queryForm}-> ${outputForm}:${result} (${extension ?? 'null extension'})`;
}

for (const line of inputLines()) {
  const blank = line.indexOf(' ');
  const rest = line.slice(blank + 1);
  if (line === '' || line.startsWith('#')) continue;
  if (line.startsWith('echo ')) printLines(rest);
  else if (line.startsWith('test ')) printLines(await test(rest));
  else if (line.startsWith('maps ')) {
    await maps?.close();
    maps = await openMaps('whatever', rest, context);
    printLines(rest);
  }
}
await maps?.close();
