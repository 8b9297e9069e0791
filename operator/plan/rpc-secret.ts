/**
 * What services of one fleet know each other by: the token that every call carries, and a certificate. The key of the
 * authority is in a Secret of its own that no pod mounts.
 */
import { type Child, childName, metadata, type Owner, rpcSecretName } from './input.ts';

export const TOKEN_KEY = 'rpc-token';

export const authoritySecretName = (owner: Owner): string => childName(owner, 'rpc-authority');

function secret(owner: Owner, name: string, data: Readonly<Record<string, string>>): Child {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: metadata(owner, name),
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  };
}

export function rpcSecret(owner: Owner, data: Readonly<Record<string, string>>): Child {
  return secret(owner, rpcSecretName(owner), data);
}

export function authoritySecret(owner: Owner, data: Readonly<Record<string, string>>): Child {
  return secret(owner, authoritySecretName(owner), data);
}
