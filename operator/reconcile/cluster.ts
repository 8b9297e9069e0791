/**
 * What the operator sees of the cluster: MailServers, their children and pods, names of all ConfigMaps and Secrets in the
 * namespaces that it watches, and the nodes where it may see them. Every change names the MailServers that it is about.
 */
import type { V1Deployment, V1Job, V1Node, V1Pod } from '@kubernetes/client-node';
import type { Log } from '../../lib/util/log.ts';
import { type Child, FLEET_LABEL, MANAGER } from '../plan/input.ts';
import type { ApiClient } from '../runtime/api-client.ts';
import { Informer } from '../runtime/informer.ts';
import { collectionPath, KINDS, type Kind, type KubeObject } from '../runtime/kinds.ts';
import { referencedNames } from './references.ts';

/** Kinds of children, in the order in which leftovers are removed. */
const CHILD_KINDS = [
  KINDS.autoscaler,
  KINDS.deployment,
  KINDS.disruptionBudget,
  KINDS.networkPolicy,
  KINDS.service,
  KINDS.job,
  KINDS.configMap,
  KINDS.secret,
  KINDS.serviceAccount,
  KINDS.claim,
] as const;

export interface ClusterOptions {
  readonly client: ApiClient;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Undefined for all. */
  readonly namespaces: readonly string[] | undefined;
  /** Told the namespace/name of a MailServer that something changed for. */
  readonly touched: (key: string) => void;
}

type Followed = Informer<KubeObject>;

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #mailServers: Followed[] = [];
  readonly #children = new Map<string, Followed[]>();
  readonly #pods: Followed[] = [];
  readonly #references: Followed[] = [];
  readonly #all: Followed[] = [];
  /** Followed where the operator is allowed to see them. */
  readonly #nodes: Followed;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#nodes = this.#follow(KINDS.node, undefined, { mayBeForbidden: true, keep: nodeSketch }, () => []);
    for (const namespace of options.namespaces ?? [undefined]) this.#add(namespace);
  }

  #add(namespace: string | undefined): void {
    this.#mailServers.push(this.#follow(KINDS.mailServer, namespace, {}, ({ metadata }) => [metadata.name]));
    const ofLabel = ({ metadata: { labels } }: KubeObject): string[] =>
      labels?.[FLEET_LABEL] === undefined ? [] : [labels[FLEET_LABEL]];
    const own = { labelSelector: `app.kubernetes.io/managed-by=${MANAGER}` };
    for (const kind of CHILD_KINDS) {
      const informers = this.#children.get(kind.kind) ?? [];
      informers.push(this.#follow(kind, namespace, own, ofLabel));
      this.#children.set(kind.kind, informers);
    }
    this.#pods.push(this.#follow(KINDS.pod, namespace, { ...own, keep: podSketch }, ofLabel));
    for (const kind of [KINDS.configMap, KINDS.secret])
      this.#references.push(
        this.#follow(kind, namespace, { metadataOnly: true, keep: nameAndVersion }, (object) =>
          this.#referringTo(kind, object),
        ),
      );
  }

  #follow(
    kind: Kind,
    namespace: string | undefined,
    how: Partial<
      Pick<ConstructorParameters<typeof Informer>[0], 'labelSelector' | 'metadataOnly' | 'mayBeForbidden' | 'keep'>
    >,
    concerned: (object: KubeObject) => string[],
  ): Followed {
    const { client, log, signal, touched } = this.#options;
    const informer: Followed = new Informer({
      client,
      log,
      signal,
      path: collectionPath(kind, namespace),
      ...how,
      changed: (object) => {
        for (const name of concerned(object)) touched(`${object.metadata.namespace ?? ''}/${name}`);
      },
    });
    this.#all.push(informer);
    return informer;
  }

  /** MailServers of the namespace that name the ConfigMap or Secret. */
  #referringTo({ kind }: Kind, { metadata: { name, namespace } }: KubeObject): string[] {
    return [...this.mailServers()]
      .filter(
        (one) =>
          one.metadata.namespace === namespace &&
          referencedNames(one)[kind === 'Secret' ? 'secrets' : 'configMaps'].has(name),
      )
      .map((one) => one.metadata.name);
  }

  /** Follows everything until the signal is aborted. */
  async run(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.run()));
  }

  get synced(): boolean {
    return this.#all.every((informer) => informer.synced);
  }

  /** Resolves when everything has been read once; never rejects. */
  async listed(): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.listed));
  }

  *mailServers(): Generator<KubeObject> {
    for (const informer of this.#mailServers) yield* informer.values();
  }

  mailServer(namespace: string, name: string): KubeObject | undefined {
    return first(this.#mailServers, namespace, name);
  }

  child(kind: string, namespace: string, name: string): KubeObject | undefined {
    return first(this.#children.get(kind) ?? [], namespace, name);
  }

  deployment(namespace: string, name: string): (KubeObject & V1Deployment) | undefined {
    return this.child('Deployment', namespace, name) as (KubeObject & V1Deployment) | undefined;
  }

  job(namespace: string, name: string): (KubeObject & V1Job) | undefined {
    return this.child('Job', namespace, name) as (KubeObject & V1Job) | undefined;
  }

  /** Everything with the label of a MailServer. */
  children(namespace: string, name: string): (KubeObject & Kind)[] {
    return CHILD_KINDS.flatMap(({ apiVersion, kind }) =>
      (this.#children.get(kind) ?? []).flatMap((informer) =>
        [...informer.values()]
          .filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[FLEET_LABEL] === name)
          // Items of a list do not say what they are.
          .map((object) => ({ ...object, apiVersion, kind })),
      ),
    );
  }

  pods(namespace: string, name: string): (KubeObject & V1Pod)[] {
    return this.#pods.flatMap((informer) =>
      [...informer.values()].filter(
        ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[FLEET_LABEL] === name,
      ),
    ) as (KubeObject & V1Pod)[];
  }

  /** Version of a ConfigMap or Secret of anybody's; undefined where it is missing. */
  version(kind: 'ConfigMap' | 'Secret', namespace: string, name: string): string | undefined {
    const at = kind === 'ConfigMap' ? 0 : 1;
    const informers = this.#references.filter((_informer, index) => index % 2 === at);
    return first(informers, namespace, name)?.metadata.resourceVersion;
  }

  /** Addresses and networks of nodes and pods, as far as they are known. */
  networks(namespace: string): string[] {
    const nodes = [...this.#nodes.values()] as (KubeObject & V1Node)[];
    const pods = this.#pods.flatMap((informer) => [...informer.values()]) as (KubeObject & V1Pod)[];
    const found = [
      ...nodes.flatMap(({ spec, status }) => [
        ...(spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR])),
        ...(status?.addresses ?? []).filter(({ type }) => type.endsWith('IP')).map(({ address }) => address),
      ]),
      ...pods
        .filter(({ metadata }) => metadata.namespace === namespace)
        .flatMap(({ status }) => [status?.hostIP, status?.podIP].filter((address) => address !== undefined)),
    ];
    return [...new Set(found)];
  }

  /** What was just written, so that the next look sees it. */
  remember(child: Kind, object: KubeObject): void {
    const informers = child.kind === 'MailServer' ? this.#mailServers : (this.#children.get(child.kind) ?? []);
    const at = this.#options.namespaces?.indexOf(object.metadata.namespace ?? '') ?? 0;
    informers[Math.max(0, at)]?.remember(object);
  }
}

function first(informers: readonly Followed[], namespace: string, name: string): KubeObject | undefined {
  for (const informer of informers) {
    const found = informer.get(namespace, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

const nameAndVersion = ({ metadata: { name, namespace, resourceVersion } }: KubeObject): KubeObject => ({
  metadata: {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  },
});

/** Of a pod: whose it is, what it runs and where, which configuration it was told of, and with what words it ended. */
function podSketch(object: KubeObject): KubeObject {
  const { metadata, spec, status } = object as KubeObject & V1Pod;
  const { managedFields, ownerReferences, ...kept } = metadata as KubeObject['metadata'];
  const containerStatuses = (status?.containerStatuses ?? []).map(({ name, ready, state, lastState }) => ({
    name,
    ready,
    state: { terminated: state?.terminated },
    lastState: { terminated: lastState?.terminated },
  }));
  return {
    metadata: kept,
    spec: { containers: (spec?.containers ?? []).map(({ name, args }) => ({ name, args })) },
    status: { hostIP: status?.hostIP, podIP: status?.podIP, phase: status?.phase, containerStatuses },
  };
}

function nodeSketch(object: KubeObject): KubeObject {
  const { metadata, spec, status } = object as KubeObject & V1Node;
  return {
    metadata: { name: metadata.name, resourceVersion: metadata.resourceVersion ?? '' } as KubeObject['metadata'],
    spec: { podCIDR: spec?.podCIDR, podCIDRs: spec?.podCIDRs },
    status: { addresses: status?.addresses },
  };
}

export type { Child };
