import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Condition } from '../../lib/mailserver/status.ts';
import { conditions, type Findings } from './conditions.ts';

const WELL: Findings = {
  generation: 3,
  problems: [],
  paused: false,
  blocked: undefined,
  services: [
    { name: 'smtpd', daemon: 'smtpd', deployment: 'mail-smtpd', desired: 2, replicas: 2, ready: 2, updated: 2 },
  ],
  progress: '',
  stuck: [],
  queue: { well: true, reason: 'Healthy', message: '' },
  warnings: [],
};

const noPod = WELL.services.map((service) => ({ ...service, ready: 0 }));
const away = { reason: 'StoresAway', message: 'NATS: timeout', degraded: true };

/** Ready, Progressing, Degraded, ConfigValid, QueueHealthy, Warning: their first letters where they are true. */
function short(findings: Partial<Findings>): string {
  return conditions({ ...WELL, ...findings }, [], 'now')
    .map(({ type, status }) => (status === 'True' ? type[0] : status === 'Unknown' ? '?' : '-'))
    .join('');
}

const situations: readonly [situation: string, findings: Partial<Findings>, expected: string][] = [
  ['all is well', {}, 'R--CQ-'],
  ['a roll-out with every service served', { progress: 'becoming ready: mail-smtpd' }, 'RP-CQ-'],
  ['a service without a ready pod', { services: noPod, progress: 'becoming ready' }, '-P-CQ-'],
  ['a service that is scaled to nothing', { services: noPod.map((one) => ({ ...one, desired: 0 })) }, 'R--CQ-'],
  ['a Deployment that is stuck', { stuck: ['mail-smtpd'] }, 'R-DCQ-'],
  ['others that wait for one that is stuck', { stuck: ['mail-smtpd'], progress: 'waiting: mail-qmgr' }, 'R-DCQ-'],
  ['an error in the spec', { problems: [{ severity: 'error', field: 'spec.mainCf', text: 'x' }] }, '--D-Q-'],
  ['a warning in the spec', { problems: [{ severity: 'warning', field: 'spec.mainCf', text: 'x' }] }, 'R--CQW'],
  ['a notice in the spec', { problems: [{ severity: 'notice', field: 'spec.mainCf', text: 'x' }] }, 'R--CQ-'],
  ['weak durability', { warnings: ['durability'] }, 'R--CQW'],
  ['stores that are away', { blocked: away, queue: { well: false, reason: 'StoresAway', message: '' } }, '--DC--'],
  ['a queue that was not asked', { queue: undefined }, 'R--C?-'],
  ['a shard without an owner', { queue: { well: false, reason: 'ShardsWithoutOwner', message: '0' } }, '---C--'],
  ['entries that were set aside', { queue: { well: false, reason: 'Corrupt', message: '1' } }, 'R--C--'],
  ['a pause', { paused: true, progress: 'something' }, 'R--CQ-'],
];
for (const [situation, findings, expected] of situations) {
  test(`${situation}: ${expected}`, () => {
    assert.equal(short(findings), expected);
  });
}

test('every condition is of the generation that was looked at', () => {
  assert.deepEqual(
    new Set(conditions(WELL, [], 'now').map(({ observedGeneration }) => observedGeneration)),
    new Set([3]),
  );
});

test('the time of a condition is that of its last turn', () => {
  const before = conditions(WELL, [], 'then').map((one): Condition => ({ ...one, lastTransitionTime: 'then' }));
  const after = conditions({ ...WELL, generation: 4, stuck: ['x'] }, before, 'now');
  const times = Object.fromEntries(after.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]));
  assert.equal(times.Degraded, 'now');
  assert.equal(times.Ready, 'then');
});

test('a configuration with errors is told with every one of them, and with what stays in force', () => {
  const problems = ['a', 'b'].map((text) => ({ severity: 'error' as const, field: 'spec.mainCf.x', text }));
  const { message, reason } = conditions({ ...WELL, problems }, [], 'now').find(({ type }) => type === 'ConfigValid')!;
  assert.equal(reason, 'Invalid');
  assert.equal(message, 'spec.mainCf.x: a\nspec.mainCf.x: b\nThe last configuration without errors stays in force.');
});
