/**
 * The operator and a namespace with development stores, as the scenarios have them: installed by the charts, removed before
 * and after. POSTFLEET_CLUSTER_KEEP leaves everything in place after a scenario.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as helm from './helm.ts';
import { Kubectl } from './kubectl.ts';
import { freeVolumes } from './volumes.ts';

const ROOT = join(import.meta.dirname, '../..');
const OPERATOR: helm.Release = {
  name: 'postfleet-operator',
  namespace: 'postfleet-system',
  chart: 'postfleet-operator',
  values: 'operator.yaml',
};

export const operator = new Kubectl(OPERATOR.namespace);

export const storesOf = (kubectl: Kubectl): helm.Release => ({
  name: 'postfleet',
  namespace: kubectl.namespace,
  chart: 'postfleet',
  values: 'stores.yaml',
});

export async function installOperator(settings: readonly string[] = []): Promise<void> {
  await helm.install(OPERATOR, settings);
}

export async function installStores(kubectl: Kubectl): Promise<void> {
  await helm.install(storesOf(kubectl));
}

/** Removes the namespace and the operator. MailServers go first, while there is an operator who ends them. */
export async function removeAll(kubectl: Kubectl): Promise<void> {
  await kubectl.run(['delete', 'mailservers', '--all', '--timeout=120s']).catch(ignoreMissing);
  await kubectl.run(['delete', 'namespace', kubectl.namespace, '--ignore-not-found', '--timeout=120s']);
  await helm.uninstall(OPERATOR);
  await kubectl.run(['delete', 'namespace', OPERATOR.namespace, '--ignore-not-found', '--timeout=120s']);
  await freeVolumes();
}

/** On a fresh cluster there is no kind MailServer. */
export function ignoreMissing(error: unknown): void {
  if (!/the server doesn't have a resource type|not found/.test(String(error))) throw error;
}

export async function removeAfterwards(kubectl: Kubectl): Promise<void> {
  if (process.env.POSTFLEET_CLUSTER_KEEP === undefined) await removeAll(kubectl);
}

/** examples/mailserver.yaml as it would stand in this namespace. */
export async function exampleFor(kubectl: Kubectl): Promise<string> {
  const text = await readFile(join(ROOT, 'examples/mailserver.yaml'), 'utf8');
  return text.replaceAll('.default.svc.', `.${kubectl.namespace}.svc.`);
}
