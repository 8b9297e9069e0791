/** `kubectl postfleet status`: what the operator says of a MailServer, and how its pods are. */
import { EX } from '../../lib/util/errors.ts';
import { writeTo } from '../../lib/util/write-stream.ts';
import type { Condition, MailServer, Pod } from './cluster.ts';
import type { PluginCommand } from './plugin-command.ts';
import { age, renderTable } from './table.ts';

const NOT_READY = 1;

/** The fields of the status that are shown. */
interface Shown {
  readonly hostname?: string;
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  readonly services?: readonly {
    readonly name: string;
    readonly daemon?: string;
    readonly desired?: number;
    readonly replicas?: number;
    readonly ready?: number;
    readonly updated?: number;
  }[];
  readonly queue?: Readonly<Record<string, number>>;
  readonly durability?: {
    readonly log?: string;
    readonly servers?: number;
    readonly replicas?: number;
    readonly postgres?: string;
  };
  readonly addresses?: readonly unknown[];
}

export const status: PluginCommand = {
  name: 'status',
  summary: 'show whether a MailServer works, and what is remarkable',
  synopsis: '',
  help: `Shows conditions, services with their replicas, the queue's counts, what durability is in force, and pods that are not well.

With -o json: an object with the MailServer's status and its pods.
Exit status: 0 where the MailServer is ready, 1 where it is not.`,
  options: {},
  async run({ request, cluster, mailServer, io, now }) {
    const pods = await cluster.pods(mailServer.metadata.name);
    if (request.output === 'json') {
      const { metadata, status: reported = {} } = mailServer;
      const { name, namespace, generation } = metadata;
      await writeTo(
        io.stdout,
        `${JSON.stringify({ name, namespace, generation, status: reported, pods }, undefined, 2)}\n`,
      );
    } else {
      await writeTo(io.stdout, renderStatus(mailServer, pods, now));
    }
    return isReady(mailServer) ? EX.OK : NOT_READY;
  },
};

/** Ready, and said of the specification as it is. */
export function isReady({ metadata, status: reported }: MailServer): boolean {
  const ready = reported?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') return false;
  return ready.observedGeneration === undefined || ready.observedGeneration === metadata.generation;
}

export function renderStatus(mailServer: MailServer, pods: readonly Pod[], now: number): string {
  const { metadata } = mailServer;
  const shown = (mailServer.status ?? {}) as Shown;
  const parts = [heading(mailServer, shown)];
  const conditions = shown.conditions ?? [];
  if (conditions.length === 0) parts.push('The operator has not said anything yet.\n');
  else
    parts.push(
      renderTable([
        ['CONDITION', 'STATUS', 'FOR', 'REASON', 'MESSAGE'],
        ...conditions.map((condition) => conditionRow(condition, metadata.generation, now)),
      ]),
    );
  if (shown.services !== undefined) parts.push(renderServices(shown.services));
  parts.push(facts(shown));
  const ill = pods.filter(({ ready, phase }) => !ready && phase !== 'Succeeded');
  if (ill.length > 0) parts.push(renderPods('PODS THAT ARE NOT READY', ill, now));
  return parts.join('\n');
}

function heading({ metadata }: MailServer, { hostname, observedGeneration }: Shown): string {
  const behind =
    observedGeneration !== undefined && observedGeneration !== metadata.generation
      ? ' (the last change is not yet taken up)'
      : '';
  return `${metadata.namespace}/${metadata.name}  ${hostname ?? ''}${behind}\n`;
}

function conditionRow(condition: Condition, generation: number | undefined, now: number): string[] {
  const { type, status: value, reason = '', message = '', lastTransitionTime, observedGeneration } = condition;
  const stale = observedGeneration !== undefined && observedGeneration !== generation;
  const since = lastTransitionTime === undefined ? '' : age(now - Date.parse(lastTransitionTime));
  return [type, stale ? `${value} (stale)` : value, since, reason, message];
}

function renderServices(services: NonNullable<Shown['services']>): string {
  const count = (value: number | undefined): string => (value === undefined ? '-' : String(value));
  const rows = services.map(({ name, daemon, desired, ready, updated }) => [
    name,
    daemon ?? '',
    `${count(ready)}/${count(desired)}`,
    count(updated),
  ]);
  return renderTable([['SERVICE', 'DAEMON', 'READY', 'UP TO DATE'], ...rows]);
}

function facts({ queue, durability, addresses }: Shown): string {
  const lines: string[] = [];
  if (queue !== undefined) {
    const counts = Object.entries(queue).filter(([name]) => name !== 'oldestSeconds');
    const { oldestSeconds } = queue;
    const oldest = oldestSeconds === undefined || oldestSeconds === 0 ? '' : `, oldest ${age(oldestSeconds * 1000)}`;
    lines.push(`Queue:       ${counts.map(([name, count]) => `${count} ${name}`).join(', ')}${oldest}`);
  }
  if (durability !== undefined) {
    const { log, servers, replicas, postgres } = durability;
    const copies =
      replicas === undefined
        ? ''
        : `, ${replicas} replica${replicas === 1 ? '' : 's'} on ${servers ?? '?'} server${servers === 1 ? '' : 's'}`;
    lines.push(`Durability:  log ${log ?? 'unknown'}${copies}; Postgres ${postgres ?? 'unknown'}`);
  }
  if (addresses !== undefined && addresses.length > 0) {
    const texts = addresses.map((address) => (typeof address === 'string' ? address : JSON.stringify(address)));
    lines.push(`Addresses:   ${texts.join(' ')}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

export function renderPods(title: string, pods: readonly Pod[], now: number): string {
  const rows = pods.map(({ name, phase, ready, restarts, node, created }) => [
    name,
    phase,
    ready ? 'yes' : 'no',
    String(restarts),
    age(now - Date.parse(created)),
    node,
  ]);
  return `${title}\n${renderTable([['NAME', 'PHASE', 'READY', 'RESTARTS', 'AGE', 'NODE'], ...rows])}`;
}
