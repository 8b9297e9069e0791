/**
 * The pods of one process: one container with the services' image, which runs the master.cf entries of the process as an
 * unprivileged user with a read-only root file system.
 *
 * Whatever stands here makes new pods when it changes. main.cf, master.cf and file tables are mounted from objects whose
 * names stay the same: services read them again without a restart (docs/adr/0006-operator.md). Only parameters that
 * are read once at the start (lib/config/reload.ts) are part of the template, as a hash.
 *
 * The end of a pod: Kubernetes takes it out of its Services and tells it to end, and it goes on serving whoever has not heard
 * of that for postfleet_shutdown_delay, then has postfleet_shutdown_grace for what is under way (lib/server/host.ts).
 */
import type {
  V1Container,
  V1EnvVar,
  V1PodTemplateSpec,
  V1TopologySpreadConstraint,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import { RESTART_PARAMETERS } from '../../lib/config/reload.ts';
import { CONFIG_DIRECTORY, fleetParameters, MAIL_DIRECTORY } from '../../lib/mailserver/check.ts';
import { type FleetProcess, portMap } from '../../lib/mailserver/fleet.ts';
import { contentHash } from './hash.ts';
import {
  answersCalls,
  CONTAINER,
  configName,
  HTTP_PORT,
  INGRESS_LABEL,
  labels,
  listens,
  type PlanInput,
  portName,
  RPC_PORT,
  rpcSecretName,
  secretFilesName,
  selector,
} from './input.ts';
import { claimName } from './mail-claim.ts';
import { byName, type Mergeable, merge } from './merge.ts';

export const USER = 10_001;
export const SECRET_DIRECTORY = '/run/secrets/postfleet';
/** From the end of the grace until a process is gone: LAST_WORDS of lib/server/host.ts, and some room. */
const LAST_SECONDS = 8;

export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

export const podSecurity = {
  runAsNonRoot: true,
  runAsUser: USER,
  runAsGroup: USER,
  fsGroup: USER,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Memory of an idle service, and a bound that a leak would meet. */
const RESOURCES = { requests: { cpu: '20m', memory: '80Mi' }, limits: { memory: '1Gi' } };

function store(
  variable: string,
  at: { readonly url?: string | undefined; readonly secretRef?: { name: string; key: string } | undefined },
): V1EnvVar {
  if (at.secretRef !== undefined)
    return { name: variable, valueFrom: { secretKeyRef: { name: at.secretRef.name, key: at.secretRef.key } } };
  return { name: variable, value: at.url ?? '' };
}

/** What every process of the fleet is told beside main.cf. */
export function environment({ owner, checked, clusterDomain, streamReplicas }: PlanInput): V1EnvVar[] {
  const { spec } = checked;
  const parameters = new Map([
    ...fleetParameters(checked),
    ['postfleet_replicas', String(streamReplicas)],
    ['postfleet_rpc_address', `dns:///${owner.name}-{service}.${owner.namespace}.svc.${clusterDomain}:${RPC_PORT}`],
    ['postfleet_rpc_listen', `[::]:${RPC_PORT}`],
    ['postfleet_rpc_token_file', `${SECRET_DIRECTORY}/rpc-token`],
    ['postfleet_rpc_tls_directory', SECRET_DIRECTORY],
    ['postfleet_http_listen', `[::]:${HTTP_PORT}`],
    ['postfleet_watch_configuration', 'yes'],
  ]);
  return [
    { name: 'MAIL_CONFIG', value: CONFIG_DIRECTORY },
    // Large messages pass through buffers that are only let go when the nursery is swept.
    { name: 'NODE_OPTIONS', value: '--max-semi-space-size=2' },
    store('POSTFLEET_NATS_URL', spec.nats),
    store('POSTFLEET_POSTGRES_URL', spec.postgres),
    ...[...parameters]
      .filter(([, value]) => value !== '')
      .map(([name, value]) => ({ name: name.toUpperCase(), value })),
  ];
}

/** main.cf, master.cf and file tables as one directory; what comes out of Secrets stays in one. */
export function configurationVolume({ owner }: PlanInput): V1Volume {
  return {
    name: 'configuration',
    projected: {
      defaultMode: 0o440,
      sources: [
        { configMap: { name: configName(owner) } },
        { secret: { name: secretFilesName(owner), optional: true } },
      ],
    },
  };
}

export const configurationMount: V1VolumeMount = { name: 'configuration', mountPath: CONFIG_DIRECTORY, readOnly: true };

function volumes(input: PlanInput, process: FleetProcess): { volumes: V1Volume[]; volumeMounts: V1VolumeMount[] } {
  const { owner, checked } = input;
  return {
    volumes: [
      configurationVolume(input),
      { name: 'rpc', secret: { secretName: rpcSecretName(owner), defaultMode: 0o440 } },
      { name: 'tmp', emptyDir: {} },
      ...(process.mountsMail
        ? [{ name: 'mail', persistentVolumeClaim: { claimName: claimName(owner, checked.spec) } }]
        : []),
      ...((process.spec.extraVolumes ?? []) as unknown as V1Volume[]),
    ],
    volumeMounts: [
      configurationMount,
      { name: 'rpc', mountPath: SECRET_DIRECTORY, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
      ...(process.mountsMail ? [{ name: 'mail', mountPath: MAIL_DIRECTORY }] : []),
      ...((process.spec.extraVolumeMounts ?? []) as unknown as V1VolumeMount[]),
    ],
  };
}

function probe(path: string, timing: { periodSeconds: number; failureThreshold: number }) {
  return { httpGet: { path, port: 'http' }, timeoutSeconds: 5, ...timing };
}

/** `postfleet DAEMON --service NAME/TYPE`, with one --service for each entry of the process. */
export function containerArguments({ services }: FleetProcess): string[] {
  const [first] = services;
  return [first!.entry.command, ...services.flatMap(({ entry }) => ['--service', `${entry.name}/${entry.type}`])];
}

function container(input: PlanInput, process: FleetProcess, mounts: V1VolumeMount[]): V1Container {
  const { checked } = input;
  const inet = process.services.flatMap(({ port }) => (port === undefined ? [] : [port]));
  return {
    name: CONTAINER,
    // What keeps a service from starting is its last line, and is part of the status of the MailServer.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    image: checked.spec.image ?? input.image,
    imagePullPolicy: checked.spec.imagePullPolicy ?? input.imagePullPolicy,
    args: containerArguments(process),
    env: byName([
      ...environment(input),
      ...(inet.length === 0 ? [] : [{ name: 'POSTFLEET_PORT_MAP', value: portMap(process.services) }]),
      { name: 'POSTFLEET_SHUTDOWN_GRACE', value: `${process.graceSeconds}s` },
      ...((process.spec.extraEnv ?? []) as unknown as V1EnvVar[]),
    ]),
    ports: [
      ...inet.map(({ entry, containerPort }) => ({ name: portName(entry), containerPort, protocol: 'TCP' })),
      ...(answersCalls(process) ? [{ name: 'rpc', containerPort: RPC_PORT, protocol: 'TCP' }] : []),
      { name: 'http', containerPort: HTTP_PORT, protocol: 'TCP' },
    ],
    startupProbe: probe('/livez', { periodSeconds: 1, failureThreshold: 120 }),
    livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: 6 }),
    readinessProbe: probe('/readyz', { periodSeconds: 2, failureThreshold: 2 }),
    resources: (process.spec.resources as V1Container['resources'] | undefined) ?? RESOURCES,
    securityContext: containerSecurity,
    volumeMounts: mounts,
  };
}

/** Replicas are spread over nodes and zones as far as there are any. */
function spread(input: PlanInput, process: FleetProcess): V1TopologySpreadConstraint[] {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: selector(input.owner, process) },
    matchLabelKeys: ['pod-template-hash'],
  }));
}

export function podTemplate(input: PlanInput, process: FleetProcess): V1PodTemplateSpec {
  const { owner, checked } = input;
  const { placement = {} } = process.spec;
  const { volumes: podVolumes, volumeMounts } = volumes(input, process);
  const started = RESTART_PARAMETERS.map((name) => checked.configuration.text(name));
  const template: V1PodTemplateSpec = {
    metadata: {
      labels: { ...labels(owner, process.name), ...(listens(process) ? { [INGRESS_LABEL]: owner.name } : {}) },
      annotations: {
        'kubectl.kubernetes.io/default-container': 'postfleet',
        'postfleet.dev/read-at-start': contentHash([started, input.storesHash]),
        ...(input.restart === '' ? {} : { 'postfleet.dev/restart': input.restart }),
      },
    },
    spec: {
      serviceAccountName: owner.name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds:
        checked.configuration.seconds('postfleet_shutdown_delay') + process.graceSeconds + LAST_SECONDS,
      securityContext: podSecurity,
      ...(checked.spec.imagePullSecrets === undefined ? {} : { imagePullSecrets: checked.spec.imagePullSecrets }),
      ...(placement.nodeSelector === undefined ? {} : { nodeSelector: placement.nodeSelector }),
      ...(placement.tolerations === undefined ? {} : { tolerations: placement.tolerations }),
      ...(placement.affinity === undefined ? {} : { affinity: placement.affinity }),
      ...(placement.priorityClassName === undefined ? {} : { priorityClassName: placement.priorityClassName }),
      topologySpreadConstraints:
        (placement.topologySpreadConstraints as unknown as V1TopologySpreadConstraint[] | undefined) ??
        spread(input, process),
      containers: [container(input, process, volumeMounts)],
      volumes: podVolumes,
    },
  };
  const merged = merge(template as unknown as Mergeable, process.spec.podTemplate ?? {}) as V1PodTemplateSpec;
  // Whatever is laid over it, the pods stay those of this Deployment.
  return {
    ...merged,
    metadata: { ...merged.metadata, labels: { ...merged.metadata?.labels, ...selector(owner, process) } },
  };
}
