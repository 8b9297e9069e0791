/** File tables that come out of Secrets, in one Secret that pods mount beside the ConfigMap. */
import type { V1Secret } from '@kubernetes/client-node';
import { type Child, metadata, type PlanInput, secretFilesName } from './input.ts';

export function tableSecret({ owner, secretFiles }: PlanInput): Child {
  const data = Object.entries(secretFiles).map(([name, text]) => [name, Buffer.from(text).toString('base64')] as const);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: metadata(owner, secretFilesName(owner)),
    data: Object.fromEntries(data),
  } satisfies V1Secret satisfies Child;
}
