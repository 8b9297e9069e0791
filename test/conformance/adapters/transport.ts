/**
 * transport MAP: the route that a transport table gives to each address on standard input. The case at hand expects
 * nothing on standard output, so the lines go to standard error and are compared with nothing; the look-up itself is
 * held against a table of cases in services/trivial-rewrite.
 */
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { encodeBytes } from '../../../lib/util/byte-text.ts';
import { lookupTransport } from '../../../services/trivial-rewrite/transport.ts';
import { adapterContext, inputLines } from '../support/tables.ts';

await using maps = await openMaps('transport_maps', process.argv[2] ?? '', adapterContext('transport'));

for (const address of inputLines()) {
  const domain = address.slice(address.lastIndexOf('@') + 1);
  process.stderr.write(encodeBytes(`${address}:${domain} -> ${await answer(address, domain)}\n`));
}

async function answer(address: string, domain: string): Promise<string> {
  const otherwise = { transport: 'DEFAULT', nexthop: domain };
  try {
    const route = await lookupTransport(maps, address, otherwise, { recipientDelimiter: '+', parentDomains: false });
    return route === undefined ? '(not found)' : `${route.transport}:${route.nexthop}`;
  } catch (error) {
    if (error instanceof TableError) return '(try again)';
    throw error;
  }
}
