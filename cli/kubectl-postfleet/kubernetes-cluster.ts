/**
 * The cluster that the user's kubeconfig names, by @kubernetes/client-node. Objects are read as they are, and reduced to what
 * the commands show.
 *
 * What the API server refuses, and a cluster that does not answer, is a FatalError with one line. Reads the kubeconfig as
 * kubectl does: the file given, else KUBECONFIG, else ~/.kube/config, else the service account of a pod.
 */
import { PassThrough } from 'node:stream';
import {
  ApiException,
  CoreV1Api as Core,
  type CoreV1Api,
  type CoreV1Event,
  CustomObjectsApi,
  Exec,
  KubeConfig,
  type V1Pod,
  type V1Status,
} from '@kubernetes/client-node';
import { EX, FatalError } from '../../lib/util/errors.ts';
import type { Cluster, EventView, ExecStreams, MailServer, Pod } from './cluster.ts';
import { type Target, usage } from './options.ts';

const RESOURCE = { group: 'postfleet.dev', version: 'v1alpha1', plural: 'mailservers' };
const CONTAINER = 'postfleet';
const LABEL = {
  mailServer: 'postfleet.dev/mailserver',
  component: 'app.kubernetes.io/component',
};

export function openCluster(target: Target): Cluster {
  const config = readConfiguration(target);
  const namespace = target.namespace ?? config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  return new KubernetesCluster(config, namespace);
}

function readConfiguration({ kubeconfig, context }: Target): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new FatalError(`kubeconfig: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  if (context !== undefined) {
    if (config.getContextObject(context) === null)
      throw usage(`--context ${context}: the kubeconfig has no such context`);
    config.setCurrentContext(context);
  }
  if (config.getCurrentCluster() === null) {
    throw new FatalError('the kubeconfig names no cluster: set KUBECONFIG or --kubeconfig');
  }
  return config;
}

class KubernetesCluster implements Cluster {
  readonly namespace: string;
  readonly #core: CoreV1Api;
  readonly #custom: CustomObjectsApi;
  readonly #exec: Exec;

  constructor(config: KubeConfig, namespace: string) {
    this.namespace = namespace;
    this.#core = config.makeApiClient(Core);
    this.#custom = config.makeApiClient(CustomObjectsApi);
    this.#exec = new Exec(config);
  }

  async mailServers(): Promise<readonly MailServer[]> {
    const { namespace } = this;
    const list = (await asked('mailservers', () =>
      this.#custom.listNamespacedCustomObject({ ...RESOURCE, namespace }),
    )) as { items: MailServer[] };
    return list.items;
  }

  async pods(mailServer: string): Promise<readonly Pod[]> {
    const labelSelector = `${LABEL.mailServer}=${mailServer}`;
    const { items } = await asked('pods', () =>
      this.#core.listNamespacedPod({ namespace: this.namespace, labelSelector }),
    );
    return items.map(podView).sort((a, b) => a.name.localeCompare(b.name));
  }

  async events(mailServer: string): Promise<readonly EventView[]> {
    const { items } = await asked('events', () =>
      this.#core.listNamespacedEvent({ namespace: this.namespace, limit: 500 }),
    );
    return items
      .filter(({ involvedObject: { name = '' } }) => name === mailServer || name.startsWith(`${mailServer}-`))
      .map(eventView)
      .sort((a, b) => a.time.localeCompare(b.time));
  }

  log(pod: string, lines: number): Promise<string> {
    const request = { name: pod, namespace: this.namespace, container: CONTAINER, tailLines: lines };
    return asked(`log of ${pod}`, () => this.#core.readNamespacedPodLog({ ...request, limitBytes: 4_000_000 }));
  }

  async exec(pod: string, command: readonly string[], streams: ExecStreams): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<V1Status>();
    // The client ends the streams that it is given; those of the caller stay open.
    const output = passedOn(streams.stdout);
    const errors = passedOn(streams.stderr);
    const socket = await asked(`exec in ${pod}`, () =>
      this.#exec.exec(
        this.namespace,
        pod,
        CONTAINER,
        [...command],
        output.stream,
        errors.stream,
        streams.stdin ?? null,
        false,
        resolve,
      ),
    );
    socket.onclose = () =>
      reject(new FatalError(`exec in ${pod}: the connection was lost`, { exitCode: EX.UNAVAILABLE }));
    // Nothing more is asked of a program whose output nobody reads.
    streams.stdout.once('close', () => socket.close());
    const status = await promise;
    output.stream.end();
    errors.stream.end();
    await Promise.all([output.done, errors.done]);
    return exitStatus(status, pod);
  }
}

function passedOn(target: NodeJS.WritableStream): { stream: PassThrough; done: Promise<void> } {
  const stream = new PassThrough();
  stream.pipe(target, { end: false });
  const done = new Promise<void>((resolve) => stream.once('end', resolve));
  return { stream, done };
}

/** The exit status of the program, out of the answer of the API server. */
export function exitStatus(status: V1Status, pod: string): number {
  if (status.status === 'Success') return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  if (code !== undefined) return Number(code);
  throw new FatalError(`exec in ${pod}: ${status.message ?? 'failed'}`, { exitCode: EX.UNAVAILABLE });
}

/** What the API server or the network refuses, in one line. */
async function asked<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw new FatalError(`${what}: ${reason(error)}`, { cause: error, exitCode: EX.UNAVAILABLE });
  }
}

function reason(error: unknown): string {
  if (error instanceof ApiException) {
    const body: unknown = typeof error.body === 'string' ? parsed(error.body) : error.body;
    if (typeof body === 'object' && body !== null && 'message' in body) return String(body.message);
    return `the API server answered ${error.code}`;
  }
  if (error instanceof Error && error.message !== '') return error.message;
  const { type, message } = error as { type?: string; message?: string };
  return message ?? (type === 'error' ? 'the API server does not answer' : String(error));
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

export function podView({ metadata, spec, status }: V1Pod): Pod {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    component: metadata?.labels?.[LABEL.component] ?? '',
    phase: metadata?.deletionTimestamp === undefined ? (status?.phase ?? 'Unknown') : 'Terminating',
    ready: ready && metadata?.deletionTimestamp === undefined,
    restarts: (status?.containerStatuses ?? []).reduce((sum, { restartCount }) => sum + restartCount, 0),
    node: spec?.nodeName ?? '',
    created: metadata?.creationTimestamp?.toISOString() ?? '',
  };
}

function eventView(event: CoreV1Event): EventView {
  const { involvedObject, lastTimestamp, eventTime, metadata, type, reason: why, message, count } = event;
  const time = lastTimestamp ?? eventTime ?? metadata.creationTimestamp;
  return {
    time: time === undefined ? '' : new Date(time).toISOString(),
    type: type ?? '',
    reason: why ?? '',
    object: `${involvedObject.kind ?? ''}/${involvedObject.name ?? ''}`,
    message: message ?? '',
    count: count ?? 1,
  };
}
