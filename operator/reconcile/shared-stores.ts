/**
 * Do two MailServers use the same stores? Names of streams and tables are the same for all, so they would work each other's
 * queue. The older one has the right to them. Pure.
 */
import type { Problem } from '../../lib/mailserver/check.ts';
import { canonical } from '../plan/hash.ts';
import type { KubeObject } from '../runtime/kinds.ts';

/** Where a store is, as far as the spec says: a Secret is one of its namespace. */
function place(mailServer: KubeObject, store: 'nats' | 'postgres'): string | undefined {
  const spec = (mailServer.spec ?? {}) as Record<
    string,
    { url?: string; secretRef?: { name?: string; key?: string } } | undefined
  >;
  const { url, secretRef } = spec[store] ?? {};
  if (url !== undefined) return url;
  return secretRef === undefined ? undefined : canonical([mailServer.metadata.namespace, secretRef]);
}

function isOlder(one: KubeObject, other: KubeObject): boolean {
  const age = ({ metadata }: KubeObject): string => `${metadata.creationTimestamp ?? ''} ${metadata.uid ?? ''}`;
  return age(one) < age(other);
}

export function sharedStores(mailServer: KubeObject, all: readonly KubeObject[]): Problem[] {
  return (['nats', 'postgres'] as const).flatMap((store) => {
    const own = place(mailServer, store);
    const other = all.find(
      (one) =>
        one.metadata.uid !== mailServer.metadata.uid &&
        own !== undefined &&
        place(one, store) === own &&
        isOlder(one, mailServer),
    );
    if (other === undefined) return [];
    const { namespace, name } = other.metadata;
    const text = `the MailServer ${namespace}/${name} has its queue there: each needs ${store === 'nats' ? 'an account' : 'a database'} of its own`;
    return [{ severity: 'error' as const, field: `spec.${store}`, text }];
  });
}
