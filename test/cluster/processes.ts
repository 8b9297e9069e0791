/**
 * The processes of pods as the kernel of this machine counts them: memory, and time on a core. For the cluster that
 * `make cluster` started; pods of another one run elsewhere. Wants root.
 */
import { readdir, readFile } from 'node:fs/promises';

/** Of getconf CLK_TCK: the kernel tells everybody hundredths of a second. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  readonly processes: number;
  /** Proportional set size in octets: pages that several processes map are counted once in the sum of all. */
  readonly pss: number;
  /** Resident set size in octets. */
  readonly rss: number;
  /** Seconds on a core since the processes began. */
  readonly seconds: number;
}

const NOTHING: Usage = { processes: 0, pss: 0, rss: 0, seconds: 0 };

const add = (a: Usage, b: Usage): Usage => ({
  processes: a.processes + b.processes,
  pss: a.pss + b.pss,
  rss: a.rss + b.rss,
  seconds: a.seconds + b.seconds,
});

async function usageOf(pid: string): Promise<Usage> {
  const [rollup, stat] = await Promise.all([
    readFile(`/proc/${pid}/smaps_rollup`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
  ]);
  const octets = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(rollup)?.[1]) * 1024;
  // The name in parentheses may hold anything; utime and stime are the fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { processes: 1, pss: octets('Pss'), rss: octets('Rss'), seconds: ticks / TICKS_PER_SECOND };
}

/** Processes of pods, with the uid of each one's pod: those of its containers, and the one that holds its network. */
async function* processesOfPods(): AsyncGenerator<{ readonly pid: string; readonly uid: string }> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    // Whoever has ended in between is nobody's.
    const cgroups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    const uid = /\/pod([0-9a-f-]{36})\//.exec(cgroups.replaceAll('_', '-'))?.[1];
    if (uid !== undefined) yield { pid, uid };
  }
}

/** What the processes of each pod use, by the pod's uid. */
export async function usageOfPods(uids: readonly string[]): Promise<Map<string, Usage>> {
  const usage = new Map(uids.map((uid) => [uid, NOTHING]));
  for await (const { pid, uid } of processesOfPods()) {
    const before = usage.get(uid);
    if (before !== undefined) usage.set(uid, add(before, await usageOf(pid).catch(() => NOTHING)));
  }
  return usage;
}

/** Ends everything in a pod in the middle of what it does; the kubelet sees it later. Resolves to the number of processes. */
export async function crashPod(wanted: string): Promise<number> {
  const pids: number[] = [];
  for await (const { pid, uid } of processesOfPods()) if (uid === wanted) pids.push(Number(pid));
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  return pids.length;
}

export const sumOf = (usage: Iterable<Usage>): Usage => [...usage].reduce(add, NOTHING);
