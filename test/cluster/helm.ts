/**
 * Helm against the cluster under test: the program that tools.sh built, the charts of this tree. Functions reject with helm's own
 * words where it fails.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CONFIGURATION } from './kubectl.ts';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** What settings.sh makes of a text with its variables. */
export async function setting(text: string): Promise<string> {
  const script = `source "${join(import.meta.dirname, 'settings.sh')}" && echo "${text}"`;
  return (await run('bash', ['-c', script])).stdout.trim();
}

/** Where tools.sh keeps it. */
const program = (): Promise<string> => setting('$cache/bin/helm-$helm_version');

async function helm(namespace: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(await program(), ['--kubeconfig', CONFIGURATION, '--namespace', namespace, ...args], {
    maxBuffer: 16 * 1024 * 1024,
  });
  return stdout;
}

export interface Release {
  readonly name: string;
  readonly namespace: string;
  readonly chart: 'postfleet' | 'postfleet-operator';
  /** A file of values/. */
  readonly values: string;
  /** The tree whose charts are meant; this one unless given. */
  readonly tree?: string;
}

/** Installs or upgrades it, and waits until what it made is ready. */
export function install(
  { name, namespace, chart, values, tree = ROOT }: Release,
  settings: readonly string[] = [],
): Promise<string> {
  return helm(namespace, [
    'upgrade',
    '--install',
    name,
    join(tree, 'charts', chart),
    '--create-namespace',
    // The definition of MailServer outlives the release that made it, and another one may have brought it.
    '--take-ownership',
    '--values',
    join(import.meta.dirname, 'values', values),
    ...settings.flatMap((setting) => ['--set', setting]),
    '--wait',
    '--timeout',
    '5m',
  ]);
}

export async function uninstall({ name, namespace }: Pick<Release, 'name' | 'namespace'>): Promise<void> {
  await helm(namespace, ['uninstall', name, '--ignore-not-found', '--wait', '--timeout', '2m']);
}

/** Runs the tests of a release; resolves to their logs. */
export function test({ name, namespace }: Pick<Release, 'name' | 'namespace'>): Promise<string> {
  return helm(namespace, ['test', name, '--logs', '--timeout', '3m']);
}
