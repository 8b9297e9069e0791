/**
 * The conditions of a MailServer, from what a reconcile has found. Pure.
 *
 * ConfigValid   the spec has no error; otherwise the last good one stays in force
 * QueueHealthy  the stores answer, every shard has an owner, and nothing was set aside as corrupt
 * Progressing   something is being made or rolled out
 * Degraded      something is not as it should be, and waiting alone will not cure it
 * Warning       something remarkable: weak durability, misspelt names, tables with wrong lines
 * Ready         every service has ready pods and the configuration in force is that of the present generation
 */
import type { Problem } from '../../lib/mailserver/check.ts';
import type { Condition, ConditionType, ServiceStatus } from '../../lib/mailserver/status.ts';

export interface Findings {
  readonly generation: number;
  readonly problems: readonly Problem[];
  readonly paused: boolean;
  /** What keeps the operator from going on: a reason in one word, and what is to be done. */
  readonly blocked: { readonly reason: string; readonly message: string; readonly degraded: boolean } | undefined;
  readonly services: readonly ServiceStatus[];
  /** What is under way, in words; empty where nothing is. */
  readonly progress: string;
  readonly stuck: readonly string[];
  /** Undefined where it is not known. */
  readonly queue: { readonly well: boolean; readonly reason: string; readonly message: string } | undefined;
  /** Remarkable things beside the problems of the spec. */
  readonly warnings: readonly string[];
}

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

const MESSAGE_LIMIT = 8000;

const verdict = (status: Condition['status'], reason: string, message = ''): Verdict => ({
  status,
  reason,
  message: message.length > MESSAGE_LIMIT ? `${message.slice(0, MESSAGE_LIMIT)} …` : message,
});

export const problemText = ({ field, text }: Problem): string => `${field}: ${text}`;

function lines(problems: readonly Problem[], severity: Problem['severity']): string[] {
  return problems.filter((one) => one.severity === severity).map(problemText);
}

function configValid({ problems }: Findings): Verdict {
  const errors = lines(problems, 'error');
  return errors.length === 0
    ? verdict('True', 'Valid')
    : verdict('False', 'Invalid', `${errors.join('\n')}\nThe last configuration without errors stays in force.`);
}

function queueHealthy({ queue }: Findings): Verdict {
  if (queue === undefined) return verdict('Unknown', 'NotAsked', 'the stores have not been asked yet');
  return verdict(queue.well ? 'True' : 'False', queue.reason, queue.message);
}

function progressing({ paused, blocked, progress, stuck }: Findings): Verdict {
  if (paused)
    return verdict('False', 'Paused', 'the annotation postfleet.dev/paused keeps the operator from any change');
  if (blocked !== undefined) return verdict(blocked.degraded ? 'False' : 'True', blocked.reason, blocked.message);
  if (stuck.length > 0) return verdict('False', 'Stuck', progress);
  return progress === '' ? verdict('False', 'Done') : verdict('True', 'RollingOut', progress);
}

function degraded({ blocked, stuck, problems }: Findings): Verdict {
  if (blocked?.degraded === true) return verdict('True', blocked.reason, blocked.message);
  if (stuck.length > 0)
    return verdict(
      'True',
      'Stuck',
      `these Deployments make no progress: ${stuck.join(', ')}; kubectl describe says why. The others wait until that is mended`,
    );
  if (problems.some(({ severity }) => severity === 'error')) return verdict('True', 'ConfigInvalid', 'see ConfigValid');
  return verdict('False', 'AsPlanned');
}

function warning({ problems, warnings }: Findings): Verdict {
  const all = [...warnings, ...lines(problems, 'warning')];
  return all.length === 0 ? verdict('False', 'None') : verdict('True', 'Remarkable', all.join('\n'));
}

function ready(findings: Findings): Verdict {
  const { blocked, services, problems, paused, queue } = findings;
  const without = services.filter((service) => service.desired > 0 && service.ready === 0).map(({ name }) => name);
  if (problems.some(({ severity }) => severity === 'error'))
    return verdict('False', 'ConfigInvalid', 'see ConfigValid');
  if (services.length === 0)
    return verdict('False', blocked?.reason ?? (paused ? 'Paused' : 'Creating'), blocked?.message ?? '');
  if (without.length > 0) return verdict('False', 'ServicesNotReady', `no ready pod: ${without.join(', ')}`);
  if (queue?.well === false && queue.reason !== 'Corrupt') return verdict('False', queue.reason, queue.message);
  if (blocked !== undefined) return verdict('False', blocked.reason, blocked.message);
  return verdict('True', paused ? 'Paused' : findings.progress === '' ? 'Ready' : 'RollingOut');
}

const VERDICTS: Readonly<Record<ConditionType, (findings: Findings) => Verdict>> = {
  Ready: ready,
  Progressing: progressing,
  Degraded: degraded,
  ConfigValid: configValid,
  QueueHealthy: queueHealthy,
  Warning: warning,
};

/** The conditions, with the time of the last change kept from those before. */
export function conditions(findings: Findings, before: readonly Condition[], now: string): Condition[] {
  return Object.entries(VERDICTS).map(([type, judge]) => {
    const found = judge(findings);
    const old = before.find((one) => one.type === type);
    return {
      type,
      ...found,
      observedGeneration: findings.generation,
      lastTransitionTime: old?.status === found.status ? old.lastTransitionTime : now,
    };
  });
}
