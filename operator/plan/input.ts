/**
 * What the builders of children are given: a correct MailServer, what the operator knows of its stores and secrets, and the
 * settings of the operator. Nothing in this folder does I/O; the same input makes the same children.
 */
import type { V1OwnerReference } from '@kubernetes/client-node';
import type { Checked } from '../../lib/mailserver/check.ts';
import type { FleetProcess } from '../../lib/mailserver/fleet.ts';
import { API_VERSION, KIND } from '../../lib/mailserver/schema.ts';

export interface Owner {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
}

export interface PlanInput {
  readonly owner: Owner;
  readonly checked: Checked;
  /** Image of the services where the MailServer names none. */
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly clusterDomain: string;
  /** Copies of each stream, as they are. */
  readonly streamReplicas: number;
  /** Tells apart what the referenced Secrets of the stores hold. */
  readonly storesHash: string;
  /** Value of the restart annotation. */
  readonly restart: string;
  /** File tables, by name: those that may be read by anybody, and those out of Secrets. */
  readonly files: Readonly<Record<string, string>>;
  readonly secretFiles: Readonly<Record<string, string>>;
}

/** An object as it is applied: what we say of it, and nothing that is the API server's to fill in. */
export interface Child {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly [field: string]: unknown;
}

export const RPC_PORT = 2600;
/** The container of a pod that runs the services. */
export const CONTAINER = 'postfleet';
export const HTTP_PORT = 8080;
export const FLEET_LABEL = 'postfleet.dev/mailserver';
export const SERVICE_LABEL = 'postfleet.dev/service';
/** Pods that clients reach by the Service of the MailServer. */
export const INGRESS_LABEL = 'postfleet.dev/ingress';
export const MANAGER = 'postfleet-operator';

export const childName = ({ name }: Pick<Owner, 'name'>, part: string): string => `${name}-${part}`;

export const configName = (owner: Owner): string => childName(owner, 'config');
export const secretFilesName = (owner: Owner): string => childName(owner, 'tables');
export const rpcSecretName = (owner: Owner): string => childName(owner, 'rpc');

/** Labels of every child; with a service, of its own children. */
export function labels(owner: Owner, service?: string): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'postfleet',
    'app.kubernetes.io/instance': owner.name,
    'app.kubernetes.io/managed-by': MANAGER,
    [FLEET_LABEL]: owner.name,
    ...(service === undefined ? {} : { 'app.kubernetes.io/component': service, [SERVICE_LABEL]: service }),
  };
}

/** What selects the pods of a process; it can never change for a Deployment that exists. */
export function selector(owner: Owner, process: Pick<FleetProcess, 'name'>): Record<string, string> {
  return { [FLEET_LABEL]: owner.name, [SERVICE_LABEL]: process.name };
}

function ownerReference({ name, uid }: Owner): V1OwnerReference {
  return { apiVersion: API_VERSION, kind: KIND, name, uid, controller: true, blockOwnerDeletion: true };
}

export function metadata(owner: Owner, name: string, service?: string) {
  return {
    name,
    namespace: owner.namespace,
    labels: labels(owner, service),
    ownerReferences: [ownerReference(owner)],
  };
}

/** Name of the port of an inet entry: Kubernetes wants a letter in it, and 15 characters at most. */
export function portName(entry: string): string {
  return /^\d+$/.test(entry)
    ? `port-${entry}`
    : entry
        .toLowerCase()
        .replace(/[^a-z0-9-]/g, '-')
        .slice(0, 15);
}

export const listens = ({ services }: FleetProcess): boolean => services.some(({ port }) => port !== undefined);
export const answersCalls = ({ services }: FleetProcess): boolean =>
  services.some(({ daemon }) => daemon.kind === 'calls');
