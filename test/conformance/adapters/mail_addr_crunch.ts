/** mail_addr_crunch: a list of addresses in a lookup result, completed and extended. */
import { type AddressForm, crunchAddresses } from '../../../lib/tables/address-lookup.ts';
import { inputLines, printLines } from '../support/tables.ts';

const [inputForm = '', outputForm = '', extension = '', ...texts] = inputLines();
for (const text of texts) {
  const options = { inputForm: inputForm as AddressForm, outputForm: outputForm as AddressForm, extension };
  for (const address of await crunchAddresses(text, options)) printLines(`|${address}|`);
}
