import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { checkMailServer } from '../../lib/mailserver/check.ts';
import type { MailServerSpecInput } from '../../lib/mailserver/schema.ts';
import { deployment } from './deployment.ts';
import type { Child, PlanInput } from './input.ts';
import { allChildren, plan } from './plan.ts';
import { rpcSecret } from './rpc-secret.ts';

/**
 * What is expected lies in golden/, a file for each kind of child; POSTFLEET_WRITE_GOLDEN=1 writes them anew, to be read
 * before they are committed.
 */
const GOLDEN = join(import.meta.dirname, 'golden');

const SMALL: MailServerSpecInput = {
  mainCf: { myhostname: 'mail.example.test', mydestination: '' },
  nats: { url: 'nats://nats:4222', monitorUrl: 'http://nats:8222' },
  postgres: { secretRef: { name: 'postgres', key: 'uri' } },
};

/** Every field that a child is made of. */
const FULL: MailServerSpecInput = {
  ...SMALL,
  image: 'registry.example.test/postfleet:1.2.3',
  imagePullPolicy: 'Always',
  imagePullSecrets: [{ name: 'pull' }],
  mainCf: {
    ...SMALL.mainCf,
    virtual_mailbox_domains: 'example.test',
    header_checks: 'regexp:/etc/postfix/checks',
    mynetworks: '127.0.0.0/8',
  },
  masterCf: [
    {
      service: 'submission',
      type: 'inet',
      private: 'n',
      command: 'smtpd',
      options: { syslog_name: 'postfix/submission' },
    },
    { service: '10025', type: 'inet', private: 'n', command: 'smtpd' },
  ],
  tables: {
    checks: { format: 'file', inline: '/^x:/ DUNNO' },
    secrets: { format: 'file', secret: { name: 's', key: 'k' } },
  },
  services: {
    smtpd: {
      autoscaling: {
        minReplicas: 2,
        maxReplicas: 9,
        targetCPUUtilizationPercentage: 60,
        behavior: { scaleDown: { stabilizationWindowSeconds: 60 } },
      },
      resources: { requests: { cpu: '100m' }, limits: { memory: '512Mi' } },
      placement: { nodeSelector: { pool: 'mail' }, tolerations: [{ operator: 'Exists' }], priorityClassName: 'high' },
      terminationGracePeriodSeconds: 300,
      extraEnv: [{ name: 'NODE_OPTIONS', value: '--inspect' }],
      extraVolumes: [{ name: 'extra', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'extra', mountPath: '/extra' }],
      podTemplate: {
        metadata: { annotations: { 'example.test/own': 'yes' }, labels: { 'postfleet.dev/service': 'stolen' } },
        spec: {
          hostNetwork: true,
          containers: [
            { name: 'postfleet', env: [{ name: 'TZ', value: 'UTC' }] },
            { name: 'sidecar', image: 'sidecar' },
          ],
        },
      },
    },
    relay: { replicas: 5 },
  },
  ingress: {
    type: 'LoadBalancer',
    proxyProtocol: true,
    annotations: { 'example.test/pool': 'public' },
    loadBalancerSourceRanges: ['192.0.2.0/24'],
  },
  mailStorage: { size: '20Gi', storageClassName: 'fast', accessModes: ['ReadWriteMany'] },
};

function input(spec: MailServerSpecInput, rest: Partial<PlanInput> = {}): PlanInput {
  const resource = { apiVersion: 'postfleet.dev/v1alpha1', kind: 'MailServer', metadata: { name: 'mail' }, spec };
  const { checked, problems } = checkMailServer(resource, { clusterNetworks: ['10.244.0.0/16'] });
  assert.ok(checked, JSON.stringify(problems));
  return {
    owner: { name: 'mail', namespace: 'post', uid: '0000-1111' },
    checked,
    image: 'postfleet:test',
    imagePullPolicy: 'IfNotPresent',
    clusterDomain: 'cluster.local',
    streamReplicas: 3,
    storesHash: 'aaaa',
    restart: '',
    files: {},
    secretFiles: {},
    ...rest,
  };
}

function golden(name: string, children: readonly Child[]): void {
  const path = join(GOLDEN, `${name}.yaml`);
  const text = children
    .map((child) => stringify(child, { lineWidth: 120, aliasDuplicateObjects: false }))
    .join('---\n');
  if (process.env.POSTFLEET_WRITE_GOLDEN !== undefined) writeFileSync(path, text);
  assert.equal(text, readFileSync(path, 'utf8'));
}

const full = input(FULL, { files: { checks: '/^x:/ DUNNO' }, secretFiles: { secrets: 'a b' }, restart: 'now' });
const children = [...allChildren(plan(full)), rpcSecret(full.owner, { 'rpc-token': 'token' })];
const ofKind = (kind: string): Child[] => children.filter((child) => child.kind === kind);

const KINDS: readonly [kind: string, names: RegExp][] = [
  ['Deployment', /^mail-(smtpd|cleanup|qmgr|virtual|smtp)$/],
  ['Service', /^mail$|^mail-(bounce|trace|relay)$/],
  ['ConfigMap', /./],
  ['Secret', /./],
  ['ServiceAccount', /./],
  ['PodDisruptionBudget', /^mail-smtpd$/],
  ['HorizontalPodAutoscaler', /./],
  ['NetworkPolicy', /^mail-(smtpd|cleanup|bounce|qmgr)$/],
  ['Job', /./],
  ['PersistentVolumeClaim', /./],
];
for (const [kind, names] of KINDS) {
  test(`children of kind ${kind} are as in golden/${kind}.yaml`, () => {
    const chosen = ofKind(kind).filter(({ metadata }) => names.test(metadata.name));
    assert.ok(chosen.length > 0);
    golden(kind, chosen);
  });
}

test('every child is the MailServer’s, but the claim of the mailboxes', () => {
  for (const { kind, metadata } of children) {
    const owners = (metadata as { ownerReferences?: { uid: string; controller: boolean }[] }).ownerReferences ?? [];
    assert.deepEqual(
      owners.map(({ uid, controller }) => [uid, controller]),
      kind === 'PersistentVolumeClaim' ? [] : [['0000-1111', true]],
    );
    assert.equal(metadata.labels['postfleet.dev/mailserver'], 'mail');
    assert.equal(metadata.labels['app.kubernetes.io/managed-by'], 'postfleet-operator');
  }
});

test('no two children have one name', () => {
  const names = children.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  assert.deepEqual(names, [...new Set(names)]);
});

interface Pod {
  spec: {
    securityContext: object;
    automountServiceAccountToken: boolean;
    containers: { securityContext: object; name: string }[];
  };
}

test('every pod is restricted: not root, no rights, nothing to write to but volumes', () => {
  for (const { spec } of children.filter(({ kind }) => kind === 'Deployment' || kind === 'Job')) {
    const { spec: pod } = (spec as { template: Pod }).template;
    assert.deepEqual(pod.securityContext, {
      runAsNonRoot: true,
      runAsUser: 10001,
      runAsGroup: 10001,
      fsGroup: 10001,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.equal(pod.automountServiceAccountToken, false);
    const [container] = pod.containers;
    assert.deepEqual(container!.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  }
});

const template = (spec: MailServerSpecInput, rest: Partial<PlanInput> = {}, name = 'cleanup'): string => {
  const made = input(spec, rest);
  return JSON.stringify(deployment(made, made.checked.fleet.processes.find((process) => process.name === name)!));
};

const sameTemplate: readonly [situation: string, spec: Partial<MailServerSpecInput>, rest?: Partial<PlanInput>][] = [
  ['another parameter', { mainCf: { ...SMALL.mainCf, smtpd_timeout: '10s' } }],
  ['another file table', {}, { files: { checks: 'x' } }],
  ['a secret file', {}, { secretFiles: { x: 'y' } }],
  ['a further service of master.cf', { masterCf: [{ service: 'amavis', type: 'unix', command: 'smtp' }] }],
  ['a setting of another service', { masterCf: [{ service: 'smtp', type: 'inet', options: { smtpd_timeout: '9s' } }] }],
  ['a setting of its own', { masterCf: [{ service: 'cleanup', type: 'unix', options: { header_checks: '' } }] }],
  ['other replicas of another service', { services: { smtpd: { replicas: 7 } } }],
  ['a further port', { masterCf: [{ service: 'submission', type: 'inet', command: 'smtpd' }] }],
  ['a new row of a table', { tables: { virtual: { inline: 'a b' } } }],
];
for (const [situation, spec, rest] of sameTemplate) {
  test(`${situation} makes no pod anew`, () => {
    assert.equal(template({ ...SMALL, ...spec }, rest), template(SMALL));
  });
}

const otherTemplate: readonly [situation: string, spec: Partial<MailServerSpecInput>, rest?: Partial<PlanInput>][] = [
  ['another image', { image: 'other' }],
  ['a parameter that is read at the start', { mainCf: { ...SMALL.mainCf, inet_protocols: 'ipv4' } }],
  ['another Secret of the stores', {}, { storesHash: 'bbbb' }],
  ['the restart annotation', {}, { restart: 'again' }],
  ['more copies of the streams', {}, { streamReplicas: 1 }],
  ['resources of its own', { services: { cleanup: { resources: { requests: { cpu: '1' } } } } }],
];
for (const [situation, spec, rest] of otherTemplate) {
  test(`${situation} makes pods anew`, () => {
    assert.notEqual(template({ ...SMALL, ...spec }, rest), template(SMALL));
  });
}

test('replicas are left to the autoscaler', () => {
  const spec = ofKind('Deployment').find(({ metadata }) => metadata.name === 'mail-smtpd')!.spec as {
    replicas?: number;
  };
  assert.equal('replicas' in spec, false);
});

test('the order of a roll-out ends with what takes mail in', () => {
  const names = plan(input(SMALL)).processes.map(({ process }) => process.name);
  assert.deepEqual(names.slice(-3), ['pickup', 'qmgr', 'smtpd']);
});
