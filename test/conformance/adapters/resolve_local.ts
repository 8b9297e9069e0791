/** resolve_local MYDESTINATION DOMAIN: does mydestination cover this domain? */
import { LocalDomains } from '../../../lib/tables/local-domains.ts';
import { adapterContext, answerOf, printLines } from '../support/tables.ts';

const [mydestination = '', domain = ''] = process.argv.slice(2);
await using local = await LocalDomains.open({ mydestination, ownAddresses: [] }, adapterContext('resolve_local'));
const answer = await answerOf(() => local.matches(domain));
printLines(
  `mydestination=${mydestination} destination=${domain} ${answer === undefined ? 'ERROR' : answer ? 'YES' : 'NO'}`,
);
