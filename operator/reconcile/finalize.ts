/**
 * The end of a MailServer. Children go with it by their owner references; the finalizer is for what lies outside: with
 * deletionPolicy Delete the streams, the tables and the claim of the mailboxes go, after the pods that use them.
 */
import type { MailServerSpec } from '../../lib/mailserver/schema.ts';
import { removeSchema } from '../../lib/queue/remove-schema.ts';
import type { OperatorContext } from '../context.ts';
import { childName, type Owner } from '../plan/input.ts';
import { KINDS, type KubeObject } from '../runtime/kinds.ts';
import type { References } from './references.ts';
import { asking } from './store-connections.ts';
import { deleteStreams } from './streams.ts';
import { removeSources } from './tables.ts';

export const FINALIZER = 'postfleet.dev/stores';

export async function addFinalizer(context: OperatorContext, mailServer: KubeObject): Promise<void> {
  const { namespace = '', name, finalizers = [], resourceVersion } = mailServer.metadata;
  if (finalizers.includes(FINALIZER)) return;
  // With the version, so that somebody else's finalizer is not lost.
  const metadata = { finalizers: [...finalizers, FINALIZER], resourceVersion };
  context.cluster.remember(
    KINDS.mailServer,
    await context.client.mergePatch(KINDS.mailServer, namespace, name, { metadata }),
  );
}

export async function removeFinalizer(context: OperatorContext, mailServer: KubeObject): Promise<void> {
  const { namespace = '', name, finalizers = [], resourceVersion } = mailServer.metadata;
  if (!finalizers.includes(FINALIZER)) return;
  const metadata = { finalizers: finalizers.filter((one) => one !== FINALIZER), resourceVersion };
  await context.client.mergePatch(KINDS.mailServer, namespace, name, { metadata });
}

/** Ends the pods first: what writes to a stream would make it again. True where none is left. */
export async function endPods(context: OperatorContext, { namespace, name }: Owner): Promise<boolean> {
  const running = context.cluster
    .children(namespace, name)
    .filter(({ kind }) => ['Deployment', 'Job', 'HorizontalPodAutoscaler'].includes(kind));
  for (const { apiVersion, kind, metadata } of running)
    if (metadata.deletionTimestamp === undefined)
      await context.client.delete({ apiVersion, kind }, namespace, metadata.name);
  return running.length === 0 && context.cluster.pods(namespace, name).length === 0;
}

/** Deletes the mail: streams, tables and the claim that the operator has made. */
export async function deleteMail(
  context: OperatorContext,
  owner: Owner,
  spec: MailServerSpec,
  references: References,
): Promise<void> {
  const key = `${owner.namespace}/${owner.name}`;
  const { natsUrl, postgresUrl } = references;
  const nats = await context.stores.nats(key, natsUrl, postgresUrl);
  await asking('NATS', () => deleteStreams(nats, spec.nats.shards));
  const pool = await context.stores.postgres(key, natsUrl, postgresUrl);
  await asking('Postgres', async () => {
    await removeSources(pool);
    await removeSchema(pool);
  });
  if (spec.mailStorage?.size !== undefined)
    await context.client.delete(KINDS.claim, owner.namespace, childName(owner, 'mail'));
}
