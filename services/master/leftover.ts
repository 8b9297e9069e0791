/**
 * What a master that was killed leaves behind: stores and services that still run on its ports. They are ended in order
 * before others are started; a pid file whose process is gone, or is another program, is removed.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { EX, FatalError } from '../../lib/util/errors.ts';

/** The process of a pid file, where its command line has `mark`. */
function runningPid(pidFile: string, mark: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
    return pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Ends it with `signal` and waits; throws FatalError when it does not end. */
export async function endLeftover(pidFile: string, mark: string, signal: NodeJS.Signals): Promise<void> {
  const pid = runningPid(pidFile, mark);
  if (pid !== undefined) {
    send(pid, signal);
    for (const deadline = Date.now() + 15_000; runningPid(pidFile, mark) === pid; await delay(50)) {
      if (Date.now() > deadline)
        throw new FatalError(`process ${pid}, left by an earlier start, does not end: end it by hand`, {
          exitCode: EX.OSERR,
        });
    }
  }
  rmSync(pidFile, { force: true });
}

/** What the names of services' pid files end in. */
export const SERVICE_PID_FILE = '.service.pid';
/** Milliseconds that a service may take to drain: its own grace and some more. */
const DRAIN_LIMIT = 12_000;

/**
 * Ends the services of a master that was killed, all at once and while their stores still run, so that they can drain.
 * One that takes too long is killed: nothing is lost by that.
 */
export async function endServices(runDirectory: string): Promise<void> {
  const files = readdirSync(runDirectory).filter((name) => name.endsWith(SERVICE_PID_FILE));
  await Promise.all(
    files.map(async (name) => {
      const pidFile = join(runDirectory, name);
      const pid = runningPid(pidFile, '--service');
      const timer = setTimeout(() => pid !== undefined && send(pid, 'SIGKILL'), DRAIN_LIMIT);
      try {
        await endLeftover(pidFile, '--service', 'SIGTERM');
      } finally {
        clearTimeout(timer);
      }
    }),
  );
}

/** One that has ended meanwhile needs no signal. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
    throw new FatalError(`process ${pid}, left by an earlier start, cannot be ended: end it by hand`, {
      cause: error,
      exitCode: EX.NOPERM,
    });
  }
}
