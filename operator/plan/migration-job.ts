/**
 * `postfleet migrate` with the image that the services are going to have: makes the tables and streams that are missing. Its
 * name follows from what it depends on, so it runs once for each.
 */
import type { V1Job } from '@kubernetes/client-node';
import { contentHash } from './hash.ts';
import { type Child, childName, metadata, type PlanInput } from './input.ts';
import {
  configurationMount,
  configurationVolume,
  containerSecurity,
  environment,
  podSecurity,
} from './pod-template.ts';

export const MIGRATION_LABEL = 'postfleet.dev/migration';

export function migrationJob(input: PlanInput): Child {
  const { owner, checked, storesHash } = input;
  const { imagePullSecrets } = checked.spec;
  const pod = {
    serviceAccountName: owner.name,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: 'OnFailure',
    securityContext: podSecurity,
    ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }),
    containers: [
      {
        name: 'migrate',
        image: checked.spec.image ?? input.image,
        imagePullPolicy: checked.spec.imagePullPolicy ?? input.imagePullPolicy,
        args: ['migrate'],
        env: environment(input),
        securityContext: containerSecurity,
        resources: { requests: { cpu: '20m', memory: '80Mi' }, limits: { memory: '512Mi' } },
        volumeMounts: [configurationMount],
      },
    ],
    volumes: [configurationVolume(input)],
  };
  // The template of a Job can never change: another one is another Job.
  const hash = contentHash([pod, storesHash]).slice(0, 10);
  const { labels, ...rest } = metadata(owner, childName(owner, `migrate-${hash}`));
  const jobLabels = { ...labels, [MIGRATION_LABEL]: hash };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...rest, labels: jobLabels },
    spec: { backoffLimit: 20, template: { metadata: { labels: jobLabels }, spec: pod } },
  } satisfies V1Job satisfies Child;
}
