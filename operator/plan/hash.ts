/** Short names for contents: equal contents have equal hashes. */
import { createHash, createHmac } from 'node:crypto';

/** JSON with the keys of every object in order. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

export function contentHash(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 16);
}

/** The same for what must not be guessed from its hash: `key` is known to nobody who sees the hash alone. */
export function secretHash(key: string, value: unknown): string {
  return createHmac('sha256', key).update(canonical(value)).digest('hex').slice(0, 16);
}
