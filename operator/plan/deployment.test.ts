import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1Deployment } from '@kubernetes/client-node';
import type { FleetProcess } from '../../lib/mailserver/fleet.ts';
import { keepingReplicas } from './deployment.ts';
import { type Child, MANAGER } from './input.ts';

const PLANNED: Child = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'mail-smtpd', namespace: 'post', labels: {} },
  spec: { revisionHistoryLimit: 2 },
};
const AUTOSCALED = { spec: { autoscaling: { minReplicas: 3, maxReplicas: 12 } } } as FleetProcess;

function live(replicas: number, ...owners: readonly string[]): V1Deployment {
  const managedFields = owners.map((manager) => ({ manager, fieldsV1: { 'f:spec': { 'f:replicas': {} } } }));
  return {
    metadata: { managedFields: [...managedFields, { manager: 'other', fieldsV1: {} }] },
    spec: { replicas },
  } as never;
}

const situations: readonly [situation: string, live: V1Deployment | undefined, replicas: number | undefined][] = [
  ['keeps the replicas that it has when autoscaling is turned on', live(4, MANAGER), 4],
  ['gets the minimum at once where it has less', live(1, MANAGER), 3],
  ['begins with the minimum', undefined, 3],
  ['is left to the autoscaler when that has set the replicas', live(7, 'kube-controller-manager'), undefined],
  ['is left to the autoscaler that owns the replicas with us', live(4, MANAGER, 'kube-controller-manager'), undefined],
];
for (const [situation, deployment, replicas] of situations) {
  test(`an autoscaled process ${situation}`, () => {
    const applied = keepingReplicas(PLANNED, AUTOSCALED, deployment);
    assert.deepEqual(applied.spec, { revisionHistoryLimit: 2, ...(replicas === undefined ? {} : { replicas }) });
  });
}

test('a process without an autoscaler has the replicas of its plan', () => {
  assert.equal(keepingReplicas(PLANNED, { spec: {} } as FleetProcess, live(7, 'kubectl')), PLANNED);
});
