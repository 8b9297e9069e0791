/**
 * Protocol versions and cipher lists as main.cf writes them (postconf(5), smtp_tls_mandatory_protocols, tls_medium_cipherlist),
 * in the terms of Node's TLS.
 *
 * Node knows a range of versions only: of a list with gaps the range from the lowest to the highest version is used.
 * Pure.
 */
import type { SecureVersion } from 'node:tls';
import { FatalError } from '../util/errors.ts';

const VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

export interface ProtocolRange {
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
}

/** SSL of old comes before all that there still is. */
function rank(name: string, parameter: string): number {
  const lower = name.toLowerCase();
  if (lower === 'sslv2' || lower === 'sslv3') return -1;
  const at = VERSIONS.findIndex((version) => version.toLowerCase() === lower);
  if (at < 0) throw new FatalError(`${parameter}: unknown TLS protocol ${name}; known are ${VERSIONS.join(', ')}`);
  return at;
}

/** `>=TLSv1.2`, `<=TLSv1.3`, `!SSLv3, !TLSv1`, `TLSv1.2 TLSv1.3`. Throws FatalError, which names `parameter`. */
export function parseProtocols(words: readonly string[], parameter: string): ProtocolRange {
  let lowest = 0;
  let highest = VERSIONS.length - 1;
  const excluded = new Set<number>();
  const included = new Set<number>();
  for (const word of words.flatMap((item) => item.split(':')).filter((item) => item !== '')) {
    if (word.startsWith('>=')) lowest = Math.max(0, rank(word.slice(2), parameter));
    else if (word.startsWith('<=')) highest = rank(word.slice(2), parameter);
    else if (word.startsWith('!')) excluded.add(rank(word.slice(1), parameter));
    else included.add(rank(word, parameter));
  }
  const allowed = VERSIONS.map((_, at) => at).filter(
    (at) => at >= lowest && at <= highest && !excluded.has(at) && (included.size === 0 || included.has(at)),
  );
  const [first] = allowed;
  const last = allowed.at(-1);
  if (first === undefined || last === undefined) {
    throw new FatalError(`${parameter} = ${words.join(' ')}: no TLS protocol is left`);
  }
  return { minVersion: VERSIONS[first]!, maxVersion: VERSIONS[last]! };
}

/** An OpenSSL cipher list without the excluded ciphers, at the security level that Postfix leaves to the list itself. */
export function cipherList(list: string, excluded: readonly string[]): string {
  return [list, ...excluded.map((cipher) => `!${cipher}`), '@SECLEVEL=0'].filter((part) => part !== '').join(':');
}
