/** The identity of the pods. They ask nothing of the API server and get no token. */
import type { V1ServiceAccount } from '@kubernetes/client-node';
import { type Child, metadata, type PlanInput } from './input.ts';

export function serviceAccount({ owner }: PlanInput): Child {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(owner, owner.name),
    automountServiceAccountToken: false,
  } satisfies V1ServiceAccount satisfies Child;
}
