/**
 * Makes the data folder of the embedded Postgres with initdb: in a folder beside it, which takes its name when it is whole.
 * What a killed master leaves is therefore never taken for a database; the next start removes it.
 *
 * Throws FatalError with initdb's own last line, and the signal's reason where it was told to stop; all of initdb's processes
 * have ended by then.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { killGroup } from '../../lib/util/kill-group.ts';

/** Octets that are kept of what initdb says on standard error. */
const ERROR_LIMIT = 4096;

const remove = (path: string): void => rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });

/** `initdb`: the command that makes a database in the folder that it is given. */
export async function makeDatabase(
  data: string,
  initdb: (folder: string) => readonly [command: string, args: readonly string[]],
  signal: AbortSignal,
): Promise<void> {
  const folder = dirname(data);
  const prefix = `${basename(data)}.new-`;
  const unfinished = join(folder, `${prefix}${process.pid}`);
  const [command, args] = initdb(unfinished);
  try {
    // What is left of an earlier one goes; where its initdb still runs, it writes to a folder that nobody reads.
    for (const name of readdirSync(folder)) if (name.startsWith(prefix)) remove(join(folder, name));
    await run(command, args, signal);
    signal.throwIfAborted();
    renameSync(unfinished, data);
  } catch (error) {
    remove(unfinished);
    signal.throwIfAborted();
    throw new FatalError(`initdb: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
      exitCode: EX.CANTCREAT,
    });
  }
}

/** Rejects with its last line where it fails. An abort kills its whole group: initdb has a server and shells of its own. */
async function run(command: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-ERROR_LIMIT);
  });
  const kill = (): void => killGroup(child);
  signal.addEventListener('abort', kill, { once: true });
  try {
    // It closes when the last of the group has let go of standard error.
    const [code, killed] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) throw new Error(said.trim().split('\n').at(-1) || `exit status ${code ?? killed}`);
  } finally {
    signal.removeEventListener('abort', kill);
  }
}
