/** Case folding of the parts of an address: the localpart is case sensitive for its own site only, the domain never is. */
import { caseFold } from '../util/case-fold.ts';

export interface FoldParts {
  readonly localpart?: boolean;
  readonly domain?: boolean;
}

/** The address with its localpart, its domain, both or neither folded. Text without `@` is a localpart. */
export function foldAddress(address: string, parts: FoldParts, unicode = true): string {
  const at = address.lastIndexOf('@');
  const localpart = at < 0 ? address : address.slice(0, at);
  const domain = at < 0 ? '' : address.slice(at);
  return (
    (parts.localpart ? caseFold(localpart, unicode) : localpart) + (parts.domain ? caseFold(domain, unicode) : domain)
  );
}
