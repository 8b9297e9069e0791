/**
 * Stands in for the controllers and kubelets of a cluster that has an API server alone: Jobs succeed, and Deployments have all
 * of their pods, up to date and ready, as soon as they are seen. `hold` keeps it from that, so that a test can look at what
 * comes before.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from '../../operator/runtime/api-client.ts';
import { collectionPath, KINDS, type KubeObject, objectPath } from '../../operator/runtime/kinds.ts';

interface List {
  readonly items: KubeObject[];
}

type Counted = KubeObject & {
  spec: { replicas?: number };
  status?: { observedGeneration?: number; replicas?: number };
};

export class FakeKubelet implements AsyncDisposable {
  readonly #client: ApiClient;
  readonly #namespace: string;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #held = false;

  constructor(client: ApiClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#running = this.#run();
  }

  /** From here on nothing becomes ready; whatever is ready stays. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      // The API server may be away.
      if (!this.#held) await this.#serve().catch(() => undefined);
      await delay(50, undefined, { signal }).catch(() => undefined);
    }
  }

  async #serve(): Promise<void> {
    const jobs = await this.#client.request<List>('GET', collectionPath(KINDS.job, this.#namespace));
    for (const { metadata, status } of jobs.items)
      if ((status as { succeeded?: number } | undefined)?.succeeded === undefined)
        await this.#patch(objectPath(KINDS.job, this.#namespace, metadata.name), { succeeded: 1 });
    const deployments = await this.#client.request<List>('GET', collectionPath(KINDS.deployment, this.#namespace));
    for (const { metadata, spec, status } of deployments.items as Counted[]) {
      const replicas = spec.replicas ?? 1;
      if (status?.observedGeneration === metadata.generation && status?.replicas === replicas) continue;
      const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
      await this.#patch(objectPath(KINDS.deployment, this.#namespace, metadata.name), {
        ...counts,
        observedGeneration: metadata.generation,
      });
    }
  }

  async #patch(path: string, status: object): Promise<void> {
    await this.#client.request('PATCH', `${path}/status`, {
      contentType: 'application/merge-patch+json',
      body: { status },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }
}
