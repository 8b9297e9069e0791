#!/usr/bin/env node
/**
 * postfleet-operator: brings every MailServer of a cluster to what it says. Its settings are environment variables
 * (operator/settings.ts); the cluster is the one that it runs in, else that of KUBECONFIG.
 *
 * Ends with 0 when it was told to end, 75 (EX_TEMPFAIL) when it lost the lease, and as sysexits(3) says for what keeps it from
 * starting.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { EX, FatalError } from '../lib/util/errors.ts';
import { flushLog } from '../lib/util/log.ts';
import { runOperator } from '../operator/main.ts';
import { operatorSettings } from '../operator/settings.ts';

const root = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? '..' : '../..');

function version(): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

async function main(): Promise<number> {
  const settings = operatorSettings(process.env, { version: version(), hostname: hostname() });
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromDefault();
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => controller.abort());
  const kept = await runOperator({ settings, kubeConfig, stop: controller.signal });
  return kept ? EX.OK : EX.TEMPFAIL;
}

try {
  process.exitCode = await main();
  flushLog();
} catch (error) {
  flushLog();
  const text =
    error instanceof FatalError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`postfleet-operator: fatal: ${text}\n`);
  process.exitCode = error instanceof FatalError ? error.exitCode : EX.SOFTWARE;
}
// Whatever still holds the event loop belongs to what has ended.
setTimeout(() => process.exit(), 1000).unref();
