/**
 * Writes the status of a MailServer when it differs from the one that is there, sets the metrics by it, and makes events of
 * conditions that turned.
 */
import { isDeepStrictEqual } from 'node:util';
import { CONDITIONS, type Condition, type MailServerStatus } from '../../lib/mailserver/status.ts';
import type { OperatorContext } from '../context.ts';
import { KINDS, type KubeObject } from '../runtime/kinds.ts';
import type { OperatorMetrics } from '../runtime/metrics.ts';
import { conditions, type Findings } from './conditions.ts';

/** What is an event when it turns, and when it is bad. */
const EVENTFUL: Readonly<Record<string, 'True' | 'False'>> = {
  Ready: 'False',
  Degraded: 'True',
  ConfigValid: 'False',
  QueueHealthy: 'False',
};

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? {}));

export async function writeStatus(
  context: OperatorContext,
  mailServer: KubeObject,
  findings: Findings,
  rest: Omit<MailServerStatus, 'conditions'>,
): Promise<void> {
  const before = (mailServer.status ?? {}) as MailServerStatus;
  const found = conditions(findings, before.conditions ?? [], new Date().toISOString().replace(/\.\d+Z$/, 'Z'));
  const status: MailServerStatus = { ...rest, conditions: found };
  const { namespace = '', name } = mailServer.metadata;
  setMetrics(context, namespace, name, status);
  if (isDeepStrictEqual(plain(status), plain(before))) return;
  const written = await context.client.apply<KubeObject>(
    { ...KINDS.mailServer, metadata: { name, namespace } as never, status },
    '/status',
  );
  context.cluster.remember(KINDS.mailServer, written);
  for (const condition of found) await tell(context, mailServer, before.conditions ?? [], condition);
}

async function tell(
  context: OperatorContext,
  mailServer: KubeObject,
  before: readonly Condition[],
  condition: Condition,
): Promise<void> {
  const { type, status, reason, message } = condition;
  const bad = EVENTFUL[type];
  const old = before.find((one) => one.type === type);
  if (bad === undefined || (old?.status === status && old.reason === reason && old.message === message)) return;
  // A fleet that is only being made is no news; one that was well, or is well at last, is.
  if (old === undefined && status !== bad) return;
  if (status === 'Unknown' || (type === 'Ready' && status === bad && old?.status !== 'True')) return;
  if (old?.status === status && status !== bad) return;
  const owner = {
    name: mailServer.metadata.name,
    namespace: mailServer.metadata.namespace ?? '',
    uid: mailServer.metadata.uid ?? '',
  };
  const note = `${type} is ${status}: ${message === '' ? reason : message}`;
  await context.events.record(owner, status === bad ? 'Warning' : 'Normal', reason, note);
}

function setMetrics(
  { metrics }: OperatorContext,
  namespace: string,
  name: string,
  { conditions: all = [], queue }: MailServerStatus,
): void {
  const number = { True: 1, False: 0, Unknown: -1 } as const;
  for (const { type, status } of all) metrics.condition.set({ namespace, name, type }, number[status]);
  metrics.ready.set({ namespace, name }, all.some(({ type, status }) => type === 'Ready' && status === 'True') ? 1 : 0);
  if (queue === undefined) return;
  const { messages, oldestSeconds, ...states } = queue;
  for (const [state, count] of Object.entries({ ...states, messages }))
    metrics.queue.set({ namespace, name, state }, count ?? 0);
  metrics.oldest.set({ namespace, name }, oldestSeconds);
}

const STATES = ['active', 'deferred', 'hold', 'incoming', 'corrupt', 'messages'];

/** A MailServer that is gone has no metrics. */
export function forgetMetrics(
  { ready, condition, queue, oldest }: OperatorMetrics,
  namespace: string,
  name: string,
): void {
  ready.remove({ namespace, name });
  oldest.remove({ namespace, name });
  for (const type of CONDITIONS) condition.remove({ namespace, name, type });
  for (const state of STATES) queue.remove({ namespace, name, state });
}
