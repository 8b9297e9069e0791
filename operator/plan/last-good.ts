/** The last spec without errors, kept so that the operator can go on with it, also after a restart of its own. */
import { gunzipSync, gzipSync } from 'node:zlib';
import type { V1ConfigMap } from '@kubernetes/client-node';
import { canonical } from './hash.ts';
import { type Child, childName, metadata, type Owner } from './input.ts';

const KEY = 'spec.json.gz';
const LIMIT = 16 * 1024 * 1024;

export const lastGoodName = (owner: Owner): string => childName(owner, 'last-good');

export function lastGood(owner: Owner, spec: unknown): Child {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata(owner, lastGoodName(owner)),
    binaryData: { [KEY]: gzipSync(canonical(spec)).toString('base64') },
  } satisfies V1ConfigMap satisfies Child;
}

/** The spec in such an object; undefined where there is none that can be read. */
export function readLastGood(object: object | undefined): unknown {
  const packed = (object as { binaryData?: Record<string, string> } | undefined)?.binaryData?.[KEY];
  if (packed === undefined) return undefined;
  try {
    return JSON.parse(gunzipSync(Buffer.from(packed, 'base64'), { maxOutputLength: LIMIT }).toString('utf8'));
  } catch {
    return undefined;
  }
}
