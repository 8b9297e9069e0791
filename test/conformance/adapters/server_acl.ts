/** server_acl: access lists for client addresses. */
import { NamaddrList } from '../../../lib/tables/match-list.ts';
import { ServerAcl } from '../../../lib/tables/server-acl.ts';
import { adapterContext, inputLines, printLines } from '../support/tables.ts';

const context = adapterContext('server_acl');
const settings: Record<string, string> = { mynetworks: '', server_acl: '' };

async function decide(address: string): Promise<string> {
  await using mynetworks = await NamaddrList.open('mynetworks', settings.mynetworks!, context);
  await using acl = await ServerAcl.open('server_acl', settings.server_acl!, mynetworks, context);
  return await acl.decide(address);
}

for (const line of inputLines()) {
  printLines(`> ${line}`);
  if (line === '' || line.startsWith('#')) continue;
  const [name = '', value = ''] = line.split(/\s*=\s*(.*)/s, 2);
  if (name === 'address') printLines(`${value}: ${await decide(value)}`);
  else if (name in settings) settings[name] = value;
}
