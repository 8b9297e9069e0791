/**
 * Is a domain one whose localparts stand alone in address tables (canonical(5), virtual(5), relocated(5)): $myorigin, a
 * domain of $mydestination, or an address of this system in brackets?
 */
import { caseFold } from '../util/case-fold.ts';
import type { LocalDomains } from './local-domains.ts';
import type { MaybePromise } from './table.ts';

/** The question as address look-ups ask it. Throws, or rejects with, TableError where a table of mydestination fails. */
export function localSite(myorigin: string, localDomains: LocalDomains): (domain: string) => MaybePromise<boolean> {
  const origin = caseFold(myorigin);
  return (domain) => caseFold(domain) === origin || localDomains.matches(domain);
}
