/** What services of one fleet know each other by: the token that every call carries. */
import { type Child, metadata, type Owner, rpcSecretName } from './input.ts';

export const TOKEN_KEY = 'rpc-token';

export function rpcSecret(owner: Owner, data: Readonly<Record<string, string>>): Child {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: metadata(owner, rpcSecretName(owner)),
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  };
}
