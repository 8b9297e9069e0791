/** Evictions take one pod of a process at a time. */
import type { V1PodDisruptionBudget } from '@kubernetes/client-node';
import type { FleetProcess } from '../../lib/mailserver/fleet.ts';
import { type Child, childName, metadata, type PlanInput, selector } from './input.ts';

export function disruptionBudget({ owner }: PlanInput, process: FleetProcess): Child {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metadata(owner, childName(owner, process.name), process.name),
    spec: {
      maxUnavailable: 1,
      // A pod that is not ready protects nothing.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: selector(owner, process) },
    },
  } satisfies V1PodDisruptionBudget satisfies Child;
}
