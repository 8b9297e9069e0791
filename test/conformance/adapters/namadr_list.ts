/** namadr_list PATTERNS NAME ADDR: does a mynetworks-style list hold this client? */
import { NamaddrList } from '../../../lib/tables/match-list.ts';
import { adapterContext, answerOf, printLines } from '../support/tables.ts';

const [patterns = '', name = '', address = ''] = process.argv.slice(2);
const context = adapterContext('namadr_list');
await using list = await NamaddrList.open('command line', patterns, context, { parentDomains: true });
const answer = await answerOf(() => list.matches(name, address));
printLines(`${name}/${address}: ${answer === undefined ? 'ERROR' : answer ? 'YES' : 'NO'}`);
