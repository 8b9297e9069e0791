/** login_sender_match: may a login name use an envelope sender? Cases and results are JSON arrays. */
import { mayUseSender } from '../../../lib/tables/login-sender.ts';
import { openMaps } from '../../../lib/tables/open.ts';
import { TableError } from '../../../lib/tables/table.ts';
import { adapterContext, inputLines, printLines } from '../support/tables.ts';

interface Case {
  maps: string;
  ext_delimiters: string;
  null_sender: string;
  wildcard: string;
  login_name: string;
  sender: string;
}

async function run(input: Case): Promise<{ status: 'found' | 'notfound' | 'retry' }> {
  await using maps = await openMaps('test', input.maps, adapterContext('login_sender_match'));
  try {
    const found = await mayUseSender(maps, input.login_name, input.sender, {
      recipientDelimiter: input.ext_delimiters,
      nullSender: input.null_sender,
      wildcard: input.wildcard,
    });
    return { status: found ? 'found' : 'notfound' };
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return { status: 'retry' };
  }
}

const results = [];
for (const input of JSON.parse(inputLines().join('\n')) as Case[]) results.push(await run(input));
printLines(JSON.stringify(results));
