/**
 * kubectl against the cluster under test: the one that KUBECONFIG names, or the one that `make cluster` started below VAR.
 * Functions reject with kubectl's own words where it fails.
 */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '../..');
/** The kubeconfig of the cluster under test. */
export const CONFIGURATION = process.env.KUBECONFIG ?? join(ROOT, process.env.VAR ?? 'var/cluster', 'admin.kubeconfig');

export interface Pod {
  readonly name: string;
  /** Tells a pod from its successor of the same name. */
  readonly uid: string;
}

export class Kubectl {
  readonly namespace: string;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  /** Runs kubectl in the namespace; resolves to what it printed. */
  async run(args: readonly string[], input = ''): Promise<string> {
    const child = spawn('kubectl', ['--kubeconfig', CONFIGURATION, '--namespace', this.namespace, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const printed: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => printed.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    // One that ends without reading says why with its status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once('error', reject);
    child.once('close', resolve);
    const code = await promise;
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${Buffer.concat(errors).toString().trim()}`);
    return Buffer.concat(printed).toString();
  }

  /** Runs a program in the first container of the object ("deployment/mail-virtual"); resolves to what it printed. */
  exec(object: string, command: readonly string[]): Promise<string> {
    return this.run(['exec', object, '--', ...command]);
  }

  /** Applies a file of manifests/, with its ${names} replaced. */
  async apply(manifest: string, values: Readonly<Record<string, string | number>> = {}): Promise<void> {
    const text = await readFile(join(import.meta.dirname, 'manifests', manifest), 'utf8');
    const filled = text.replace(/\$\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
    await this.run(['apply', '--server-side', '-f', '-'], filled);
  }

  /** The answer of a Service's HTTP port, by way of the API server. */
  get(service: string, path: string): Promise<string> {
    return this.run(['get', '--raw', `/api/v1/namespaces/${this.namespace}/services/${service}:http/proxy${path}`]);
  }

  /** The pods with these labels that are not about to end. */
  async pods(selector: string): Promise<Pod[]> {
    const list = JSON.parse(await this.run(['get', 'pods', '--selector', selector, '--output', 'json'])) as {
      items: { metadata: { name: string; uid: string; deletionTimestamp?: string } }[];
    };
    return list.items
      .filter((pod) => pod.metadata.deletionTimestamp === undefined)
      .map(({ metadata: { name, uid } }) => ({ name, uid }));
  }

  /** Waits until every replica of the object ("deployment/cleanup") is ready. */
  async ready(object: string, seconds = 120): Promise<void> {
    await this.run(['rollout', 'status', object, '--timeout', `${seconds}s`]);
  }
}

/**
 * Waits until `condition` holds; rejects, saying what was awaited and what went wrong last, when it does not within the
 * time. A condition that rejects is asked again: the cluster that it asks is being shaken.
 */
export async function until(what: string, seconds: number, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  let trouble: unknown;
  const holds = async (): Promise<boolean> => {
    try {
      return await condition();
    } catch (error) {
      trouble = error;
      return false;
    }
  };
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} s`, { cause: trouble });
    await sleep(500);
  }
}
