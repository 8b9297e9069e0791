/**
 * What expressions in main.cf may use beside names: the comparison of compatibility levels (`<level`) and the function
 * `domain_to_ascii`. Pure.
 */
import { domainToASCII } from 'node:url';
import { compareLevels } from './compatibility-level.ts';

export const comparisons = new Map([['level', compareLevels]]);
export const functions = new Map([['domain_to_ascii', asciiDomain]]);

function asciiDomain(domain: string): string | undefined {
  const ascii = domainToASCII(domain);
  return ascii === '' && domain !== '' ? undefined : ascii;
}
