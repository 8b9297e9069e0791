/**
 * Finds the instance of a state directory: what its master has announced in run/instance.json, and whether that master
 * still runs.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Announcement {
  /** Process id of the master. */
  readonly pid: number;
  readonly configDirectory: string;
  /** Addresses and files that the instance gave to its services, by parameter. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** Undefined where none is announced, or what stands there cannot be read. */
export function readAnnouncement(stateDirectory: string): Announcement | undefined {
  try {
    return JSON.parse(readFileSync(join(stateDirectory, 'run', 'instance.json'), 'utf8')) as Announcement;
  } catch {
    return undefined;
  }
}

/** Whether the process is there; where the system tells, that it is one of ours and not another with its old number. */
export function isRunning({ pid }: Announcement): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  try {
    // A process that has ended and was not waited for has no command line.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('postfleet');
  } catch {
    return process.platform !== 'linux';
  }
}
