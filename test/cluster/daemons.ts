/** The daemons of the cluster that `make cluster` started, stopped and continued. Wants root. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const STATE = join(ROOT, process.env.VAR ?? 'var/cluster');

/** Why there are none: another cluster's daemons are not ours. */
export const elsewhere =
  process.env.KUBECONFIG === undefined ? false : 'the daemons and pods of this cluster run elsewhere';

/** As settings.sh writes it down: a process id and when it started, so that no stranger with that id is meant. */
async function pidOf(name: string): Promise<number> {
  const [pid = '', started] = (await readFile(join(STATE, 'run', `${name}.pid`), 'utf8')).trim().split(' ');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  if (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] !== started) throw new Error(`${name} does not run`);
  return Number(pid);
}

/** Stops a daemon until it is disposed of: whoever asks it waits for an answer that does not come. */
export async function stopDaemon(name: 'apiserver'): Promise<AsyncDisposable> {
  const pid = await pidOf(name);
  const resume = (): boolean => process.kill(pid, 'SIGCONT');
  process.once('exit', resume);
  process.kill(pid, 'SIGSTOP');
  return {
    async [Symbol.asyncDispose]() {
      process.off('exit', resume);
      resume();
    },
  };
}
