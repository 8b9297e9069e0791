/** The HorizontalPodAutoscaler of a process whose spec asks for one. */
import type { V2HorizontalPodAutoscaler, V2HorizontalPodAutoscalerBehavior } from '@kubernetes/client-node';
import type { FleetProcess } from '../../lib/mailserver/fleet.ts';
import { type Child, childName, metadata, type PlanInput } from './input.ts';

export function autoscaler({ owner }: PlanInput, process: FleetProcess): Child | undefined {
  const { autoscaling } = process.spec;
  if (autoscaling === undefined) return undefined;
  const { minReplicas, maxReplicas, targetCPUUtilizationPercentage, behavior } = autoscaling;
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: metadata(owner, childName(owner, process.name), process.name),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: childName(owner, process.name) },
      minReplicas,
      maxReplicas,
      metrics: [
        {
          type: 'Resource',
          resource: {
            name: 'cpu',
            target: { type: 'Utilization', averageUtilization: targetCPUUtilizationPercentage },
          },
        },
      ],
      ...(behavior === undefined ? {} : { behavior: behavior as unknown as V2HorizontalPodAutoscalerBehavior }),
    },
  } satisfies V2HorizontalPodAutoscaler satisfies Child;
}
