/** Ends a child process, started as the leader of a group of its own (`detached`), with all that it has started. */
import type { ChildProcess } from 'node:child_process';

/** Kills the group at once; one that has ended, or was never started, is let be. Throws where it belongs to another user. */
export function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
