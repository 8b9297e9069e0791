/**
 * main.cf, master.cf and the file tables that anybody may read. The name stays the same, so that pods see a change without
 * being made anew; the hash of the content stands in an annotation.
 */
import type { V1ConfigMap } from '@kubernetes/client-node';
import { contentHash } from './hash.ts';
import { type Child, configName, metadata, type PlanInput } from './input.ts';

export const CONTENT_HASH = 'postfleet.dev/content-hash';

/** What services read: its hash names the configuration in force. */
export function configurationHash({ checked, files, secretFiles, owner }: PlanInput): string {
  return contentHash([owner.uid, checked.mainCf, checked.masterCf, files, secretFiles]);
}

export function configMap(input: PlanInput): Child {
  const { owner, checked, files } = input;
  const data = { ...files, 'main.cf': checked.mainCf, 'master.cf': checked.masterCf };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { ...metadata(owner, configName(owner)), annotations: { [CONTENT_HASH]: contentHash(data) } },
    data,
  } satisfies V1ConfigMap satisfies Child;
}
