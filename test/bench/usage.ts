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

/** Time of all processors so far, in ticks: what was spent, and what a host gave to other machines meanwhile. */
export interface ProcessorTime {
  readonly all: number;
  readonly stolen: number;
}

/** From the first line of /proc/stat. */
export function processorTime(): ProcessorTime {
  const line = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!;
  // user, nice, system, idle, iowait, irq, softirq, steal; the time of guests is contained in the first two.
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, count) => sum + count, 0), stolen: ticks[7] ?? 0 };
}

/** The part of the time since `before` that was stolen, 0 to 1. */
export function stolenSince(before: ProcessorTime): number {
  const now = processorTime();
  return now.all === before.all ? 0 : (now.stolen - before.stolen) / (now.all - before.all);
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
