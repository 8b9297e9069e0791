/**
 * Tells pods that what is mounted in them has changed. A kubelet looks at mounted ConfigMaps and Secrets about once a minute,
 * and at once when the pod itself changes: an annotation with the hash of the configuration is such a change. The process in
 * the pod watches its directory and reads it again (lib/server/directory-watch.ts).
 */
import type { OperatorContext } from '../context.ts';
import type { Owner } from '../plan/input.ts';
import { KINDS } from '../runtime/kinds.ts';

export const CONFIGURATION_ANNOTATION = 'postfleet.dev/configuration';

/** Resolves to the number of pods that were told. */
export async function tellPods(context: OperatorContext, { namespace, name }: Owner, hash: string): Promise<number> {
  const stale = context.cluster
    .pods(namespace, name)
    .filter(
      ({ metadata, status }) =>
        status?.phase === 'Running' &&
        metadata.deletionTimestamp === undefined &&
        metadata.annotations?.[CONFIGURATION_ANNOTATION] !== hash,
    );
  await Promise.all(
    stale.map(async ({ metadata }) => {
      try {
        await context.client.mergePatch(KINDS.pod, namespace, metadata.name, {
          metadata: { annotations: { [CONFIGURATION_ANNOTATION]: hash } },
        });
      } catch (error) {
        // A pod that has just ended needs no news; any other is told the next time.
        context.log.debug(`${namespace}/${metadata.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  );
  return stale.length;
}
