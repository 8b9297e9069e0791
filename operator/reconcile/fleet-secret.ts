/** Makes the token of a fleet once, and keeps it: whoever has another one could call nobody. */
import { randomBytes } from 'node:crypto';
import type { OperatorContext } from '../context.ts';
import { type Child, type Owner, rpcSecretName } from '../plan/input.ts';
import { rpcSecret, TOKEN_KEY } from '../plan/rpc-secret.ts';
import { KINDS, type KubeObject } from '../runtime/kinds.ts';

const TOKEN_OCTETS = 32;

export async function fleetSecret(context: OperatorContext, owner: Owner): Promise<Child> {
  const name = rpcSecretName(owner);
  // A cache that does not have it yet must not lead to a second token.
  const live =
    context.cluster.child('Secret', owner.namespace, name) ??
    (await context.client.get<KubeObject>(KINDS.secret, owner.namespace, name));
  const data = (live?.data ?? {}) as Readonly<Record<string, string>>;
  const token = Buffer.from(data[TOKEN_KEY] ?? '', 'base64').toString();
  return rpcSecret(owner, { [TOKEN_KEY]: token === '' ? randomBytes(TOKEN_OCTETS).toString('hex') : token });
}
