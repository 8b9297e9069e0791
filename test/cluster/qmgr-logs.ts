/**
 * What the qmgr pods of a fleet log, each followed from its beginning to its last line: which messages they have finished, and who
 * takes which shard. Wants `postfleet_log_format = json`, for the time of each line.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONFIGURATION, type Kubectl } from './kubectl.ts';

const SELECTOR = 'postfleet.dev/service=qmgr';
const LOOK_MS = 1000;

interface Change {
  readonly shard: number;
  readonly pod: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly taken: boolean;
}

export class QmgrLogs implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #followed = new Map<string, ChildProcess>();
  readonly #end = new AbortController();
  readonly #changes: Change[] = [];
  readonly #looking: Promise<void>;
  /** By queue id: when qmgr first said that the message was finished. */
  readonly removed = new Map<string, number>();

  constructor(kubectl: Kubectl) {
    this.#kubectl = kubectl;
    this.#looking = this.#look();
  }

  async #look(): Promise<void> {
    while (!this.#end.signal.aborted) {
      // The API server may be away for a moment.
      const pods = await this.#kubectl.pods(SELECTOR).catch(() => []);
      for (const { name } of pods) if (!this.#followed.has(name)) this.#follow(name);
      await sleep(LOOK_MS, undefined, { signal: this.#end.signal }).catch(() => undefined);
    }
  }

  #follow(pod: string): void {
    const args = ['--kubeconfig', CONFIGURATION, '--namespace', this.#kubectl.namespace, 'logs', '--follow', pod];
    const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#followed.set(pod, child);
    let lines = 0;
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines++;
      this.#read(pod, line);
    });
    // A pod without a container yet has no log: it is asked again.
    child.once('close', () => {
      if (lines === 0) this.#followed.delete(pod);
    });
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

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#looking;
    for (const child of this.#followed.values()) child.kill();
  }
}
