/**
 * What the benchmark has to show: ratios to Postfix's rate, which a system reaches at least; reply times beside a paced load, no
 * longer than Postfix's; and megabytes, which it takes at most. Pure.
 */
import type { MemoryUse } from './memory.ts';

/** What a row of the benchmark is judged by. */
export interface Rated {
  readonly scenario: string;
  readonly system: string;
  /** To Postfix in the same rounds; NaN where Postfix did not run. */
  readonly ratio: number;
  readonly p99_ms: number;
}

export interface Gate {
  /** Such as "relay-20 postfleet: 3.28 times Postfix, at least 3". */
  readonly text: string;
  readonly isMet: boolean;
}

/** By scenario and system: times Postfix's rate, at least. */
const RATIOS: readonly (readonly [scenario: string, system: string, least: number])[] = [
  ['relay-20', 'postfleet', 3],
  ['relay-20-kept', 'postfleet', 4],
  ['accept-20', 'postfleet', 3],
  ['accept-20-kept', 'postfleet', 4],
  ['relay-20', 'postfleet-processes', 1.2],
  ['relay-20-kept', 'postfleet-processes', 1.2],
  ['accept-20', 'postfleet-processes', 1.2],
  ['accept-20-kept', 'postfleet-processes', 1.2],
];
/** Megabytes at most. */
const IDLE = 350;
const DEFERRED = 300;

function ratioGates(rows: readonly Rated[]): Gate[] {
  return RATIOS.flatMap(([scenario, system, least]) => {
    const row = rows.find((one) => one.scenario === scenario && one.system === system);
    if (row === undefined || Number.isNaN(row.ratio)) return [];
    const text = `${scenario} ${system}: ${row.ratio.toFixed(2)} times Postfix, at least ${least}`;
    return [{ text, isMet: row.ratio >= least }];
  });
}

function pacedGates(rows: readonly Rated[]): Gate[] {
  const [most, ours] = ['postfix', 'postfleet'].map(
    (system) => rows.find((row) => row.scenario === 'paced' && row.system === system)?.p99_ms,
  );
  if (most === undefined || ours === undefined) return [];
  const text = `paced postfleet: p99 ${ours.toFixed(1)} ms, at most Postfix's ${most.toFixed(1)}`;
  return [{ text, isMet: ours <= most }];
}

function memoryGates({ idle, deferred }: MemoryUse): Gate[] {
  const gate = (what: string, used: number, most: number): Gate => ({
    text: `memory ${what}: ${used.toFixed(0)} MB, at most ${most}`,
    isMet: used <= most,
  });
  return [gate('idle', idle, IDLE), gate('of 100,000 deferred messages', deferred, DEFERRED)];
}

/** The gates of what was measured; of what was not there are none. */
export const gatesOf = (rows: readonly Rated[], memory: MemoryUse | undefined): Gate[] => [
  ...ratioGates(rows),
  ...pacedGates(rows),
  ...(memory === undefined ? [] : memoryGates(memory)),
];
