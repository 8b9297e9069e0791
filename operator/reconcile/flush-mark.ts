/** By what the status remembers a flush annotation that was obeyed. Pure. */
import { contentHash } from '../plan/hash.ts';

/** What the status has room for (lib/mailserver/status.ts). */
const LIMIT = 256;
const BEGINNING = 200;

/** The value itself, or where it is too long its beginning with a hash of all of it. */
export function flushMark(value: string): string {
  if (value.length <= LIMIT) return value;
  // Half of a surrogate pair would come back from the API server as another character.
  return `${value.slice(0, BEGINNING).toWellFormed()} … ${contentHash(value)}`;
}
