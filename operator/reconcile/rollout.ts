/**
 * Which Deployments may change at this moment. Pods are made anew one Deployment at a time: the next one's turn comes when
 * everything is ready again and the queue is well. Pure.
 *
 * States of a Deployment, as it is seen beside what it should be:
 * - `missing`: it is made at once; a fleet starts together.
 * - `right`: as planned, every replica updated and ready.
 * - `settling`: as planned, and its pods are not there yet; others wait for it.
 * - `stuck`: settling for longer than its progress deadline. What keeps it back would keep back the others, so none of them
 *   is rolled until it is mended, but for those that have no pod left to lose.
 * - `scaled`: only the number of replicas differs; it is changed at once.
 * - `outdated`: its pods have to be made anew. One that is not ready goes first: the change may be what cures it.
 */
import type { V1Deployment } from '@kubernetes/client-node';
import { TEMPLATE_HASH } from '../plan/deployment.ts';
import type { Child } from '../plan/input.ts';

export type RolloutState = 'missing' | 'right' | 'settling' | 'stuck' | 'scaled' | 'outdated';

export interface Step {
  readonly deployment: Child;
  readonly live: V1Deployment | undefined;
  /** The object that is there was made from this plan, and nobody changed it. */
  readonly asPlanned: boolean;
  /** Works the queue itself: it need not wait for a queue that is unwell. */
  readonly worksQueue: boolean;
}

/** All replicas are there, made from the present template, and ready. */
export function isSettled({ metadata, spec, status }: V1Deployment): boolean {
  const wanted = spec?.replicas ?? 1;
  return (
    (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0) &&
    (status?.updatedReplicas ?? 0) >= wanted &&
    (status?.replicas ?? 0) === (status?.updatedReplicas ?? 0) &&
    (status?.availableReplicas ?? 0) >= wanted
  );
}

function isStuck({ status }: V1Deployment): boolean {
  return (status?.conditions ?? []).some(
    ({ type, status: holds, reason }) =>
      type === 'Progressing' && holds === 'False' && reason === 'ProgressDeadlineExceeded',
  );
}

export function stateOf({ deployment, live, asPlanned }: Step): RolloutState {
  if (live === undefined) return 'missing';
  if (!asPlanned)
    return live.metadata?.annotations?.[TEMPLATE_HASH] === deployment.metadata.annotations?.[TEMPLATE_HASH]
      ? 'scaled'
      : 'outdated';
  if (isSettled(live)) return 'right';
  return isStuck(live) ? 'stuck' : 'settling';
}

export interface Decision {
  /** Deployments to apply at this moment. */
  readonly apply: readonly Child[];
  /** Names of those whose turn has not come. */
  readonly waiting: readonly string[];
  readonly settling: readonly string[];
  readonly stuck: readonly string[];
}

/** `queueIsWell`: every shard has an owner and the stores answer. */
export function decide(steps: readonly Step[], queueIsWell: boolean): Decision {
  const states = steps.map((step) => ({ step, state: stateOf(step), name: step.deployment.metadata.name }));
  const named = (state: RolloutState): string[] => states.filter((one) => one.state === state).map(({ name }) => name);
  const atOnce = states
    .filter(({ state }) => state === 'missing' || state === 'scaled')
    .map(({ step }) => step.deployment);
  const outdated = states.filter(({ state }) => state === 'outdated');
  const settling = named('settling');
  const stuck = named('stuck');
  const broken = outdated.find(
    ({ step: { live } }) => !isSettled(live!) && (stuck.length === 0 || (live!.status?.availableReplicas ?? 0) === 0),
  );
  const next =
    broken ??
    (settling.length === 0 && stuck.length === 0 && atOnce.length === 0
      ? outdated.find(({ step }) => queueIsWell || step.worksQueue)
      : undefined);
  return {
    apply: next === undefined ? atOnce : [...atOnce, next.step.deployment],
    waiting: outdated.filter((one) => one !== next).map(({ name }) => name),
    settling,
    stuck,
  };
}
