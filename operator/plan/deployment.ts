/** The Deployment of one process. Its replicas are left to the HorizontalPodAutoscaler where there is one. */
import type { V1Deployment } from '@kubernetes/client-node';
import { type FleetProcess, storageIsShared } from '../../lib/mailserver/fleet.ts';
import { contentHash } from './hash.ts';
import { type Child, childName, metadata, type PlanInput, selector } from './input.ts';
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
