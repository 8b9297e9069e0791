/** mail_addr_map: canonical and virtual mapping of addresses; cases and results are JSON arrays. */
import { type AddressForm, mapAddress } from '../../../lib/tables/address-lookup.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { adapterContext, inputLines, printLines } from '../support/tables.ts';

interface Case {
  maps: string;
  propagate_extension: boolean;
  recipient_delimiter: string;
  in_form: AddressForm;
  query_form: AddressForm;
  out_form: AddressForm;
  address: string;
}

async function run(input: Case): Promise<{ result: string[] }> {
  await using maps = await openMaps('test', input.maps, adapterContext('mail_addr_map'));
  const result = await mapAddress(maps, input.address, {
    propagateExtension: input.propagate_extension,
    recipientDelimiter: input.recipient_delimiter,
    inputForm: input.in_form,
    queryForm: input.query_form,
    outputForm: input.out_form,
    isLocalDomain: () => false,
  });
  return { result: result ?? [] };
}

const results = [];
for (const input of JSON.parse(inputLines().join('\n')) as Case[]) results.push(await run(input));
printLines(JSON.stringify(results));
