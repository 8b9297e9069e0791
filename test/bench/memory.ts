/**
 * Memory of the one-process shape, stores included: idle, and with 100,000 deferred messages in the queue.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { flood } from './load.ts';
import { postfleet } from './postfleet.ts';
import { pssMegabytes } from './usage.ts';
import { holdsWithin } from './wait.ts';

const DEFERRED = 100_000;
/** Milliseconds after which a process that has nothing to do has settled. */
const SETTLE = 20_000;
/** Seconds in which everything is deferred, and milliseconds between two looks. */
const DEFERRAL_LIMIT = 120;
const LOOK = 500;

export interface MemoryOptions {
  readonly base: string;
  readonly smtpPort: number;
  /** Nothing listens there: everything is deferred. */
  readonly sinkPort: number;
  readonly progress: (text: string) => void;
}

/** The queue is counted every few seconds. */
async function hasNoneActive(smtpPort: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${smtpPort + 4}/metrics`);
  const counts = new Map(
    [...(await response.text()).matchAll(/^postfleet_queue_messages\{queue="(\w+)"\} (\d+)/gm)].map(
      ([, queue, count]) => [queue, Number(count)],
    ),
  );
  return counts.get('active') === 0 && (counts.get('deferred') ?? 0) > 0;
}

/** In megabytes. */
export interface MemoryUse {
  readonly idle: number;
  /** What the deferred messages add to that. */
  readonly deferred: number;
}

export async function memory({ base, smtpPort, sinkPort, progress }: MemoryOptions): Promise<MemoryUse> {
  mkdirSync(base, { recursive: true });
  const directory = mkdtempSync(join(base, 'memory-'));
  try {
    await using running = await postfleet.start({
      directory,
      smtpPort,
      sinkPort: sinkPort + 1,
      mode: 'relay',
      sessions: 20,
    });
    await delay(SETTLE);
    const idle = pssMegabytes(running.pid);
    progress(`memory: idle ${idle.toFixed(0)} MB; deferring ${DEFERRED} messages`);
    await flood({ port: smtpPort, sessions: 20, messages: DEFERRED, kept: true, size: 4096 });
    if (!(await holdsWithin(DEFERRAL_LIMIT, () => hasNoneActive(smtpPort), LOOK)))
      throw new Error(`not all messages were deferred within ${DEFERRAL_LIMIT} seconds`);
    await delay(SETTLE);
    const full = pssMegabytes(running.pid);
    process.stdout.write(
      `memory: idle ${idle.toFixed(0)} MB, with ${DEFERRED} deferred messages ${full.toFixed(0)} MB: ${(full - idle).toFixed(0)} MB more\n`,
    );
    return { idle, deferred: full - idle };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
