/**
 * What the pods with certain labels log, each followed from its beginning to its last line, also when it is deleted meanwhile. Where
 * following breaks off, as with an API server that is away or a container that starts again, it begins anew: lines that were
 * seen come once more.
 *
 * A pod that comes and goes between two looks, a second apart, is not seen.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONFIGURATION, type Kubectl } from './kubectl.ts';

const LOOK_MS = 1000;

export class PodLogs implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #selector: string;
  readonly #read: (pod: string, line: string) => void;
  readonly #followed = new Map<string, ChildProcess>();
  readonly #end = new AbortController();
  readonly #looking: Promise<void>;

  constructor(kubectl: Kubectl, selector: string, read: (pod: string, line: string) => void) {
    this.#kubectl = kubectl;
    this.#selector = selector;
    this.#read = read;
    this.#looking = this.#look();
  }

  async #look(): Promise<void> {
    while (!this.#end.signal.aborted) {
      // The API server may be away for a moment.
      const pods = await this.#kubectl.pods(this.#selector).catch(() => []);
      for (const { name } of pods) if (!this.#followed.has(name)) this.#follow(name);
      await sleep(LOOK_MS, undefined, { signal: this.#end.signal }).catch(() => undefined);
    }
  }

  #follow(pod: string): void {
    const args = ['--kubeconfig', CONFIGURATION, '--namespace', this.#kubectl.namespace, 'logs', '--follow', pod];
    const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#followed.set(pod, child);
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(pod, line));
    // A pod without a container yet has no log either: as long as it is there it is asked again.
    child.once('close', () => this.#followed.delete(pod));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#looking;
    for (const child of this.#followed.values()) child.kill();
  }
}
