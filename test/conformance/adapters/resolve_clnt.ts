/** resolve_clnt: lines `KIND ADDRESS`, with addresses in internal form, resolved by the case's main.cf. */
import { Configuration } from '../../../lib/config/settings.ts';
import { ResolveFlag } from '../../../lib/mail/resolve-flag.ts';
import { openContext } from '../../../services/trivial-rewrite/context.ts';
import { createTrivialRewrite } from '../../../services/trivial-rewrite/trivial-rewrite.ts';
import { adapterContext, inputLines, printLines } from '../support/tables.ts';

const configuration = Configuration.load(process.cwd(), { overrides: new Map([['compatibility_level', '3.12']]) });
await using context = await openContext(configuration, adapterContext('resolve_clnt'));
const service = createTrivialRewrite(context);

for (const line of inputLines()) {
  const [kind = ''] = line.split(' ', 1);
  const address = line.slice(kind.length + 1);
  const [reply] = await service.resolve([{ kind, sender: '', address }]);
  printLines(`${'class'.padEnd(10)} ${kind}`, `${'address'.padEnd(10)} ${address}`);
  if (reply === undefined || (reply.flags & ResolveFlag.FAIL) !== 0) {
    printLines('request failed', '');
    continue;
  }
  const flags = Object.entries(ResolveFlag).filter(([, bit]) => (reply.flags & bit) !== 0);
  printLines(
    `${'transport'.padEnd(10)} ${reply.transport}`,
    `${'nexthop'.padEnd(10)} ${reply.nexthop || '[none]'}`,
    `${'recipient'.padEnd(10)} ${reply.recipient}`,
    `${'flags'.padEnd(10)} ${flags.map(([name]) => (name.startsWith('CLASS_') ? name : `FLAG_${name}`)).join(' ')}`,
    '',
  );
}
