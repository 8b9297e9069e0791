/**
 * What the qmgr pods of a fleet log: which messages they have finished, and who takes which shard. Lines that come twice count once.
 * Wants `postfleet_log_format = json`, for the time of each line.
 */
import type { Kubectl } from './kubectl.ts';
import { PodLogs } from './pod-logs.ts';

const SELECTOR = 'postfleet.dev/service=qmgr';

interface Change {
  readonly shard: number;
  readonly pod: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly taken: boolean;
}

export class QmgrLogs implements AsyncDisposable {
  readonly #logs: PodLogs;
  readonly #changes: Change[] = [];
  /** By queue id: when qmgr first said that the message was finished. */
  readonly removed = new Map<string, number>();

  constructor(kubectl: Kubectl) {
    this.#logs = new PodLogs(kubectl, SELECTOR, (pod, line) => this.#read(pod, line));
  }

  #read(pod: string, line: string): void {
    const read = /^{"time":"([^"]+)".*"message":"(?:shard (\d+): (taken|given up|lost)|(\w+): removed")/.exec(line);
    if (read === null) return;
    const [, time = '', shard, what, queueId] = read;
    const at = Date.parse(time);
    if (shard !== undefined) this.#changes.push({ shard: Number(shard), pod, at, taken: what === 'taken' });
    else if (queueId !== undefined && !this.removed.has(queueId)) this.removed.set(queueId, at);
  }

  /** The shards that a pod has taken and not given up. */
  ownedBy(pod: string): number[] {
    const owned = new Set<number>();
    for (const { shard, pod: of, taken } of this.#changes.filter((change) => change.pod === pod))
      if (of === pod && taken) owned.add(shard);
      else owned.delete(shard);
    return [...owned];
  }

  /** When another pod than this first took the shard after a moment; undefined where none has yet. */
  takenFrom(pod: string, shard: number, after: number): number | undefined {
    const times = this.#changes
      .filter((change) => change.taken && change.shard === shard && change.pod !== pod && change.at >= after)
      .map(({ at }) => at);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#logs[Symbol.asyncDispose]();
  }
}
