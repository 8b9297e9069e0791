/**
 * Tells pods that what is mounted in them has changed. A kubelet looks at mounted ConfigMaps and Secrets about once a minute,
 * and at once when the pod itself changes: an annotation with the hash of the configuration is such a change. The process in
 * the pod watches its directory and reads it again (lib/server/directory-watch.ts). A pod that ended because of the
 * configuration before is deleted: its successor starts at once, and not when the kubelet's patience is over.
 */
import type { OperatorContext } from '../context.ts';
import type { Owner } from '../plan/input.ts';
import { KINDS } from '../runtime/kinds.ts';
import { lastWords } from './acceptance.ts';

export const CONFIGURATION_ANNOTATION = 'postfleet.dev/configuration';

/** Resolves to the number of pods that were told. */
export async function tellPods(context: OperatorContext, { namespace, name }: Owner, hash: string): Promise<number> {
  const news = { metadata: { annotations: { [CONFIGURATION_ANNOTATION]: hash } } };
  const stale = context.cluster
    .pods(namespace, name)
    .filter(
      ({ metadata, status }) =>
        status?.phase === 'Running' &&
        metadata.deletionTimestamp === undefined &&
        metadata.annotations?.[CONFIGURATION_ANNOTATION] !== hash,
    );
  await Promise.all(
    stale.map(async (pod) => {
      const { metadata } = pod;
      try {
        if (metadata.annotations?.[CONFIGURATION_ANNOTATION] !== undefined && lastWords(pod) !== undefined)
          await context.client.delete(KINDS.pod, namespace, metadata.name);
        else await context.client.mergePatch(KINDS.pod, namespace, metadata.name, news);
      } catch (error) {
        // A pod that has just ended needs no news; any other is told the next time.
        context.log.debug(`${namespace}/${metadata.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }),
  );
  return stale.length;
}
