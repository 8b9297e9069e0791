/**
 * CPU seconds and memory of a process with all its descendants, from /proc. CPU of children that have ended counts as soon
 * as they were waited for. Memory is the sum of proportional set sizes (PSS): shared pages count once.
 */
import { readdirSync, readFileSync } from 'node:fs';

const TICKS = 100;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly cpuTicks: number;
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [user, system, childUser, childSystem] = fields.slice(11, 15).map(Number) as [number, number, number, number];
    return { pid, parent: Number(fields[1]), cpuTicks: user + system + childUser + childSystem };
  } catch {
    return undefined;
  }
}

/** The process and all below it, as they are. */
function tree(root: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
  const children = Map.groupBy(all, (process) => process.parent);
  const found: Process[] = [];
  const visit = (pid: number): void => {
    const self = all.find((process) => process.pid === pid);
    if (self !== undefined) found.push(self);
    for (const child of children.get(pid) ?? []) visit(child.pid);
  };
  visit(root);
  return found;
}

/** CPU seconds used so far. */
export function cpuSeconds(root: number): number {
  return tree(root).reduce((sum, process) => sum + process.cpuTicks, 0) / TICKS;
}

/** Mebibytes by process id. */
export function pssByProcess(root: number): Map<number, number> {
  const pss = new Map<number, number>();
  for (const { pid } of tree(root)) {
    try {
      const kilobytes = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? '0';
      pss.set(pid, Number(kilobytes) / 1024);
    } catch {
      // It has ended.
    }
  }
  return pss;
}

export function pssMegabytes(root: number): number {
  return [...pssByProcess(root).values()].reduce((sum, megabytes) => sum + megabytes, 0);
}
