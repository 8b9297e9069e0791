/**
 * The Deployment of one process. Its replicas are left to the HorizontalPodAutoscaler where there is one, from when it owns
 * them (https://kubernetes.io/docs/reference/using-api/server-side-apply/, "Transferring ownership").
 */
import type { V1Deployment } from '@kubernetes/client-node';
import { type FleetProcess, storageIsShared } from '../../lib/mailserver/fleet.ts';
import { contentHash } from './hash.ts';
import { type Child, childName, MANAGER, metadata, type PlanInput, selector } from './input.ts';
import { podTemplate } from './pod-template.ts';

/** Tells whether pods have to be made anew. */
export const TEMPLATE_HASH = 'postfleet.dev/template-hash';

export function deployment(input: PlanInput, process: FleetProcess): Child {
  const { owner, checked } = input;
  // A volume that one node at a time can have: the successor starts when its predecessor has let go of it.
  const recreate = process.mountsMail && !storageIsShared(checked.spec);
  const template = podTemplate(input, process);
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...metadata(owner, childName(owner, process.name), process.name),
      annotations: { [TEMPLATE_HASH]: contentHash(template) },
    },
    spec: {
      ...(process.replicas === undefined ? {} : { replicas: process.replicas }),
      revisionHistoryLimit: 2,
      progressDeadlineSeconds: 600,
      selector: { matchLabels: selector(owner, process) },
      strategy: recreate
        ? { type: 'Recreate' }
        : { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template,
    },
  } satisfies V1Deployment satisfies Child;
}

/** Has anybody but the operator set the replicas? Then they stay when the operator no longer names them. */
function othersOwnReplicas({ metadata }: V1Deployment): boolean {
  return (metadata?.managedFields ?? []).some(
    ({ manager, fieldsV1 }) =>
      manager !== MANAGER &&
      (fieldsV1 as { 'f:spec'?: { 'f:replicas'?: object } } | undefined)?.['f:spec']?.['f:replicas'] !== undefined,
  );
}

/**
 * The Deployment as it is applied beside the one that is there. Replicas that nobody owns become 1, so an autoscaled process
 * is given those that it has, and the autoscaler's minimum at least, until the autoscaler sets others.
 */
export function keepingReplicas(planned: Child, { spec }: FleetProcess, live: V1Deployment | undefined): Child {
  if (spec.autoscaling === undefined || (live !== undefined && othersOwnReplicas(live))) return planned;
  const replicas = Math.max(spec.autoscaling.minReplicas, live?.spec?.replicas ?? 0);
  return { ...planned, spec: { ...(planned.spec as object), replicas } };
}
