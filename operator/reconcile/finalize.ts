/**
 * The end of a MailServer. Children go with it by their owner references; the finalizer is for what lies outside: with
 * deletionPolicy Delete the streams, the tables and the claim of the mailboxes go, after the pods that use them. Stores that
 * are away are waited for; those that are gone, or whose namespace ends, for GONE_LIMIT, so that the namespace can end.
 */
import type { MailServerSpec } from '../../lib/mailserver/schema.ts';
import { removeSchema } from '../../lib/queue/remove-schema.ts';
import type { OperatorContext } from '../context.ts';
import { childName, type Owner } from '../plan/input.ts';
import { ApiError } from '../runtime/api-client.ts';
import { collectionPath, KINDS, type KubeObject, keyOf } from '../runtime/kinds.ts';
import { MissingReference, type References } from './references.ts';
import { asking, StoreAway } from './store-connections.ts';
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

/**
 * Deletes the mail: streams, tables and the claim that the operator has made. What can be deleted is, also where one store is
 * away; then it rejects as the stores do, with what may still be cured before what is gone.
 */
export async function deleteMail(
  context: OperatorContext,
  owner: Owner,
  spec: MailServerSpec,
  { natsUrl, postgresUrl }: References,
): Promise<void> {
  const key = `${owner.namespace}/${owner.name}`;
  const streams = async (): Promise<void> => {
    const nats = await context.stores.nats(key, natsUrl, postgresUrl);
    await asking('NATS', () => deleteStreams(nats, spec.nats.shards));
  };
  const tables = async (): Promise<void> => {
    const pool = await context.stores.postgres(key, natsUrl, postgresUrl);
    await asking('Postgres', async () => {
      await removeSources(pool);
      await removeSchema(pool);
    });
  };
  const failures: unknown[] = [];
  for (const remove of [streams, tables]) await remove().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures.find((error) => !isGone(error)) ?? failures[0];
  await deleteMailClaim(context, owner, spec);
}

async function deleteMailClaim(context: OperatorContext, owner: Owner, spec: MailServerSpec): Promise<void> {
  if (spec.mailStorage?.size !== undefined)
    await context.client.delete(KINDS.claim, owner.namespace, childName(owner, 'mail'));
}

/** How long stores that are gone are waited for: a Secret may be made again, a name may be missing for a moment. */
const GONE_LIMIT_MS = 120_000;

/** The Secret with the address of a store is not there, or the address names a host that is not there. */
function isGone(error: unknown): boolean {
  if (error instanceof MissingReference) return true;
  return error instanceof StoreAway && (error.cause as { code?: unknown } | undefined)?.code === 'ENOTFOUND';
}

/** In a namespace that ends nothing can be made: the API server is asked by a creation that it only tries. */
async function isEnding(context: OperatorContext, namespace: string): Promise<boolean> {
  try {
    await context.client.request('POST', collectionPath(KINDS.configMap, namespace), {
      query: { dryRun: 'All' },
      contentType: 'application/json',
      body: { ...KINDS.configMap, metadata: { generateName: 'postfleet-' } },
    });
    return false;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return true;
    return error instanceof ApiError && error.status === 403 && error.message.includes('is being terminated');
  }
}

/** Is the mail to be left where it is, because the stores went with the MailServer or before it? */
export async function isToBeLeft(
  context: OperatorContext,
  { metadata: { namespace = '', deletionTimestamp = '' } }: KubeObject,
  error: unknown,
  now: number = Date.now(),
): Promise<boolean> {
  if (now - new Date(deletionTimestamp).getTime() < GONE_LIMIT_MS) return false;
  return isGone(error) || (await isEnding(context, namespace));
}

/** True where nothing is left to wait for: the mail is deleted, or went with its stores. */
export async function endMail(
  context: OperatorContext,
  mailServer: KubeObject,
  owner: Owner,
  spec: MailServerSpec,
  readReferences: () => Promise<References>,
): Promise<boolean> {
  const { events, log, stores } = context;
  const key = keyOf(mailServer);
  try {
    await deleteMail(context, owner, spec, await readReferences());
    await events.record(owner, 'Normal', 'Deleted', 'streams, tables and mailboxes are deleted', 'Delete');
    return true;
  } catch (error) {
    if (!(error instanceof StoreAway) && !(error instanceof MissingReference)) throw error;
    // A connection that was open before would hide that its host is gone.
    await stores.release(key);
    if (await isToBeLeft(context, mailServer, error)) {
      log.warning(`${key}: deletionPolicy is Delete, and the stores are gone: ${error.message}`);
      await deleteMailClaim(context, owner, spec);
      return true;
    }
    const note = `deletionPolicy is Delete, and the mail cannot be deleted: ${error.message}; set it to Retain to leave it`;
    await events.record(owner, 'Warning', 'DeletionWaits', note, 'Delete');
    return false;
  }
}
