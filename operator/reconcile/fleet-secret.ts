/**
 * What services of one fleet know each other by. The token is made once and kept: whoever had another one could call nobody.
 * Certificates are renewed in time (fleet-certificates.ts).
 */
import { randomBytes } from 'node:crypto';
import type { OperatorContext } from '../context.ts';
import { type Child, type Owner, rpcSecretName } from '../plan/input.ts';
import { authoritySecret, authoritySecretName, rpcSecret, TOKEN_KEY } from '../plan/rpc-secret.ts';
import { KINDS, type KubeObject } from '../runtime/kinds.ts';
import { authorityData, certificateData, readCertificates, renew } from './fleet-certificates.ts';

const TOKEN_OCTETS = 32;

async function dataOf(context: OperatorContext, namespace: string, name: string): Promise<Record<string, string>> {
  // A cache that does not have it yet must not lead to a second token.
  const live =
    context.cluster.child('Secret', namespace, name) ??
    (await context.client.get<KubeObject>(KINDS.secret, namespace, name));
  const data = Object.entries((live?.data ?? {}) as Record<string, string>);
  return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
}

/** The Secret of the authorities first: nothing that it has signed is given out before it is kept. */
export async function fleetSecrets(context: OperatorContext, owner: Owner, now = Date.now()): Promise<Child[]> {
  const present = await dataOf(context, owner.namespace, rpcSecretName(owner));
  const authority = await dataOf(context, owner.namespace, authoritySecretName(owner));
  const certificates = renew(readCertificates(authority, present), `${owner.namespace}/${owner.name}`, now);
  const token = present[TOKEN_KEY] || randomBytes(TOKEN_OCTETS).toString('hex');
  return [
    authoritySecret(owner, authorityData(certificates)),
    rpcSecret(owner, { [TOKEN_KEY]: token, ...certificateData(certificates) }),
  ];
}
