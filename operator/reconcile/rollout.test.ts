import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1Deployment } from '@kubernetes/client-node';
import { TEMPLATE_HASH } from '../plan/deployment.ts';
import type { Child } from '../plan/input.ts';
import { decide, type Step } from './rollout.ts';

const STATES = ['missing', 'right', 'settling', 'stuck', 'scaled', 'outdated', 'broken', 'down'] as const;
type State = (typeof STATES)[number];

/** A Deployment in a state; `broken`: outdated, and not all of its pods are ready; `down`: none is. */
function step(name: string, state: State, worksQueue = false): Step {
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'n', labels: {}, annotations: { [TEMPLATE_HASH]: 'new' } },
  } as Child;
  if (state === 'missing') return { deployment, live: undefined, asPlanned: false, worksQueue };
  const isReady = state === 'right' || state === 'scaled' || state === 'outdated';
  const availableReplicas = isReady ? 2 : state === 'down' ? 0 : 1;
  const conditions =
    state === 'stuck' ? [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] : [];
  const live: V1Deployment = {
    metadata: {
      name,
      generation: 2,
      annotations: { [TEMPLATE_HASH]: ['outdated', 'broken', 'down'].includes(state) ? 'old' : 'new' },
    },
    spec: { replicas: 2, selector: {}, template: {} },
    status: { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas, conditions },
  };
  return { deployment, live, asPlanned: state === 'right' || state === 'settling' || state === 'stuck', worksQueue };
}

const situations: readonly [situation: string, states: readonly State[], well: boolean, applied: readonly number[]][] =
  [
    ['a fleet that is not there is made at once', ['missing', 'missing', 'missing'], false, [0, 1, 2]],
    ['nothing is done where all is right', ['right', 'right'], true, []],
    ['one of several that are outdated is rolled', ['outdated', 'outdated', 'outdated'], true, [0]],
    ['the next waits while one settles', ['settling', 'outdated'], true, []],
    ['the next waits while one is made', ['missing', 'outdated'], true, [0]],
    ['replicas change at once, and outdated ones wait for that', ['scaled', 'scaled', 'outdated'], true, [0, 1]],
    ['replicas change while another settles', ['settling', 'scaled'], true, [1]],
    ['one that is stuck stops the others', ['stuck', 'outdated', 'outdated'], true, []],
    ['one that is stuck stops one that has a ready pod left', ['stuck', 'broken'], true, []],
    ['one that has no ready pod does not wait for one that is stuck', ['outdated', 'stuck', 'down'], true, [2]],
    [
      'one that is stuck and gets another template goes first, and alone',
      ['outdated', 'broken', 'outdated'],
      true,
      [1],
    ],
    ['the others go on when the one that was stuck is mended', ['right', 'outdated', 'outdated'], true, [1]],
    ['replicas change while another is stuck', ['stuck', 'scaled'], true, [1]],
    ['one that is not ready goes first', ['outdated', 'broken'], true, [1]],
    ['one that is not ready does not wait for another that settles', ['settling', 'broken'], true, [1]],
    ['nothing ready is rolled while the queue is unwell', ['outdated', 'outdated'], false, []],
    ['one that is not ready is rolled while the queue is unwell', ['outdated', 'broken'], false, [1]],
  ];
for (const [situation, states, well, applied] of situations) {
  test(situation, () => {
    const steps = states.map((state, at) => step(`d${at}`, state));
    assert.deepEqual(
      decide(steps, well).apply.map(({ metadata }) => metadata.name),
      applied.map((at) => `d${at}`),
    );
  });
}

test('what works the queue is rolled while the queue is unwell: it may be the cause', () => {
  const decision = decide([step('cleanup', 'outdated'), step('qmgr', 'outdated', true)], false);
  assert.deepEqual([decision.apply.map(({ metadata }) => metadata.name), decision.waiting], [['qmgr'], ['cleanup']]);
});

test('whatever the states are, at most one Deployment with ready pods is rolled, and none beside one that settles or is stuck', () => {
  for (const a of STATES) {
    for (const b of STATES) {
      for (const c of STATES) {
        const steps = [step('a', a), step('b', b), step('c', c)];
        const rolled = decide(steps, true).apply.filter(({ metadata }) =>
          ['outdated', 'broken', 'down'].includes({ a, b, c }[metadata.name]!),
        );
        assert.ok(rolled.length <= 1, `${a} ${b} ${c}`);
        const ready = rolled.filter(({ metadata }) => {
          const state: State = { a, b, c }[metadata.name]!;
          return state === 'outdated';
        });
        if ([a, b, c].some((state) => state === 'settling' || state === 'stuck'))
          assert.equal(ready.length, 0, `${a} ${b} ${c}`);
      }
    }
  }
});
