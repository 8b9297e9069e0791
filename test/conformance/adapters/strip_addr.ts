/** Conformance adapter: removal of address extensions, JSON in and out. */
import { readFileSync } from 'node:fs';
import { stripAddress } from '../../../lib/mail/strip-address.ts';

const cases = JSON.parse(readFileSync(0, 'utf8')) as { address: string; recipient_delimiter: string }[];
const results = cases.map(({ address, recipient_delimiter }) => {
  const found = stripAddress(address, recipient_delimiter);
  return { stripped: found?.stripped ?? null, extension: found?.extension ?? null };
});
process.stdout.write(`${JSON.stringify(results)}\n`);
