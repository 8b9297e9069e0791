/**
 * What the plugin's commands need of a Kubernetes cluster, and how they choose the pod to run something in. Tests give a
 * cluster of their own; the real one is kubernetes-cluster.ts.
 */
import type { Readable, Writable } from 'node:stream';
import { EX, FatalError } from '../../lib/util/errors.ts';

/** A MailServer as the API server has it; only what is shown is described. */
export interface MailServer {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status?: MailServerStatus;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime?: string;
}

export interface MailServerStatus {
  readonly [field: string]: unknown;
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
}

export interface Pod {
  readonly name: string;
  readonly uid: string;
  /** Label app.kubernetes.io/component. */
  readonly component: string;
  readonly phase: string;
  readonly ready: boolean;
  readonly restarts: number;
  readonly node: string;
  /** RFC 3339 */
  readonly created: string;
}

export interface EventView {
  /** RFC 3339, of the last time. */
  readonly time: string;
  readonly type: string;
  readonly reason: string;
  readonly object: string;
  readonly message: string;
  readonly count: number;
}

export interface ExecStreams {
  readonly stdin?: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

export interface Cluster {
  readonly namespace: string;
  mailServers(): Promise<readonly MailServer[]>;
  /** Pods that belong to the MailServer of that name. */
  pods(mailServer: string): Promise<readonly Pod[]>;
  /** Events about the MailServer and what belongs to it, oldest first. */
  events(mailServer: string): Promise<readonly EventView[]>;
  /** The last lines of a pod's log. */
  log(pod: string, lines: number): Promise<string>;
  /** Runs a program in the pod; resolves to its exit status. */
  exec(pod: string, command: readonly string[], streams: ExecStreams): Promise<number>;
}

function absent(message: string): FatalError {
  return new FatalError(message, { exitCode: EX.UNAVAILABLE });
}

/** The MailServer of that name, or the only one of the namespace. */
export async function chooseMailServer(cluster: Cluster, name: string | undefined): Promise<MailServer> {
  const all = await cluster.mailServers();
  const { namespace } = cluster;
  if (name !== undefined) {
    const found = all.find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw absent(`no MailServer ${name} in namespace ${namespace}`);
    return found;
  }
  const [only, ...others] = all;
  if (only === undefined) throw absent(`no MailServer in namespace ${namespace}; -n names another`);
  if (others.length === 0) return only;
  const names = all.map(({ metadata }) => metadata.name).join(', ');
  throw new FatalError(`namespace ${namespace} has several MailServers (${names}): say which with -m`, {
    exitCode: EX.USAGE,
  });
}

/** A ready pod of the MailServer, of the component named first where there is one: any of them reaches all services. */
export async function choosePod(cluster: Cluster, mailServer: string, preferred: readonly string[]): Promise<Pod> {
  const ready = (await cluster.pods(mailServer)).filter((pod) => pod.ready);
  for (const component of preferred) {
    const pod = ready.find((candidate) => candidate.component === component);
    if (pod !== undefined) return pod;
  }
  const [any] = ready;
  if (any === undefined) throw absent(`no pod of MailServer ${mailServer} is ready`);
  return any;
}
