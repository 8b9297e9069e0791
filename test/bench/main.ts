/**
 * make bench: Debian's Postfix and Postfleet in turn, the same messages by the same programs on the same filesystem, both
 * with fsync. Prints a row for each scenario and system, and writes them to VAR/bench.json.
 *
 *   --only SCENARIO   one of relay-20, relay-20-kept, relay-200, relay-200-kept, accept-20 …, paced, memory; relay and accept
 *                     with any other number of sessions too
 *   --systems a,b     some of postfix, postfleet, postfleet-processes
 *   --rounds N        times that each system runs, in turn (2)
 *   --messages N      messages of a run that are counted (6000)
 *   --gates           exit status 1 where a gate is missed (gates.ts); whether each is met is said in any case
 *
 * Rates are medians over the rounds; ratios are medians of the ratios within a round, so that a machine whose speed drifts
 * does not decide. A message is lost that was accepted and, a while after the last of them, is neither at the sink nor, where
 * everything is kept, on hold in the queue. Exit status 1 where one was lost.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gatesOf } from './gates.ts';
import { flood, paced, percentile, probe } from './load.ts';
import { type MemoryUse, memory } from './memory.ts';
import { postfix } from './postfix.ts';
import { postfleet, postfleetProcesses } from './postfleet.ts';
import { type Sink, startSink } from './sink.ts';
import type { MailSystem, RunningSystem } from './system.ts';
import { cpuSeconds, processorTime, pssMegabytes, stolenSince } from './usage.ts';
import { holdsWithin } from './wait.ts';

const SYSTEMS: readonly MailSystem[] = [postfix, postfleet, postfleetProcesses];
const SIZE = 4096;
const SMTP_PORT = 26_000;
const SINK_PORT = 26_100;

interface Scenario {
  readonly name: string;
  readonly mode: 'relay' | 'accept';
  readonly sessions: number;
  readonly kept: boolean;
}

/** A scenario by its name, with whatever number of sessions. */
function scenarioNamed(name: string): Scenario | undefined {
  const match = /^(relay|accept)-([1-9]\d{0,3})(-kept)?$/.exec(name);
  if (match === null) return undefined;
  return {
    name,
    mode: match[1] === 'relay' ? 'relay' : 'accept',
    sessions: Number(match[2]),
    kept: match[3] !== undefined,
  };
}

const SCENARIOS: readonly Scenario[] = ['relay', 'accept'].flatMap((mode) =>
  [20, 200].flatMap((sessions) => ['', '-kept'].map((kept) => scenarioNamed(`${mode}-${sessions}${kept}`)!)),
);

/** One row, as it stands in bench.json. */
export interface Row {
  readonly scenario: string;
  readonly system: string;
  /** Messages a second. */
  readonly rate: number;
  /** To Postfix in the same rounds. */
  readonly ratio: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly cpu_s_per_1000: number;
  /**
   * Proportional set size, stores included, once, when the last message has been accepted: the load is at its height then, and
   * reading it more often would be load of its own. A peak before or after that moment is not seen.
   */
  readonly peak_mb: number;
  readonly lost: number;
}

type Measurement = Omit<Row, 'scenario' | 'system' | 'ratio'>;

const { values: options } = parseArgs({
  options: {
    var: { type: 'string', default: 'var' },
    only: { type: 'string' },
    systems: { type: 'string', default: SYSTEMS.map((system) => system.name).join(',') },
    rounds: { type: 'string', default: '2' },
    messages: { type: 'string', default: '6000' },
    gates: { type: 'boolean', default: false },
  },
});
const base = resolve(options.var, 'bench');
const rounds = Number(options.rounds);
const systems = SYSTEMS.filter((system) => options.systems.split(',').includes(system.name));

const median = (values: readonly number[]): number => percentile(values, 0.5);
const progress = (text: string): void => void process.stderr.write(`${text}\n`);

/** Seconds until what was accepted has come to where it goes. */
const ARRIVAL_LIMIT = 300;
/** Milliseconds between two looks at a queue: to list it is work. */
const QUEUE_PAUSE = 1000;
/** A machine of which its host takes more, 0 to 1, is measured rather than what runs on it. */
const STOLEN_WORTH_SAYING = 0.02;

/** How many of so many messages do not come to where `count` finds them. */
async function missing(total: number, count: () => number | Promise<number>, pause?: number): Promise<number> {
  let found = 0;
  await holdsWithin(
    ARRIVAL_LIMIT,
    async () => {
      found = await count();
      return found >= total;
    },
    pause,
  );
  return Math.max(0, total - found);
}

/** Work beside a system that runs for it alone, with a sink; nothing of both is left afterwards. */
async function beside<T>(
  system: MailSystem,
  { mode, sessions }: Pick<Scenario, 'mode' | 'sessions'>,
  work: (running: RunningSystem, sink: Sink) => Promise<T>,
): Promise<T> {
  mkdirSync(base, { recursive: true });
  const directory = mkdtempSync(join(base, `${system.name}-`));
  try {
    using sink = await startSink(SINK_PORT);
    await using running = await system.start({ directory, smtpPort: SMTP_PORT, sinkPort: SINK_PORT, mode, sessions });
    return await work(running, sink);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function measure(system: MailSystem, scenario: Scenario): Promise<Measurement> {
  const messages = Number(options.messages);
  return beside(system, scenario, async (running, sink) => {
    const { sessions, kept } = scenario;
    await flood({ port: SMTP_PORT, sessions, messages: system.warmUp, kept, size: SIZE });
    if (scenario.mode === 'relay') await missing(system.warmUp, sink.messages);

    const cpuBefore = cpuSeconds(running.pid);
    const probing = new AbortController();
    const times = probe(SMTP_PORT, SIZE, 20, probing.signal);
    const began = performance.now();
    let accepted: number;
    let peak: number;
    try {
      await flood({ port: SMTP_PORT, sessions, messages, kept, size: SIZE });
      accepted = performance.now();
      // Reading the memory of many processes is work of its own: once, where the load is at its height.
      peak = pssMegabytes(running.pid);
    } finally {
      probing.abort();
    }
    const replies = await times;
    const total = system.warmUp + messages + replies.length;
    const used = (): number => cpuSeconds(running.pid) - cpuBefore;
    let lost: number;
    let ended = accepted;
    let cpu = used();
    if (scenario.mode === 'relay') {
      lost = await missing(total, sink.messages);
      ended = performance.now();
      cpu = used();
    } else lost = await missing(total, () => running.held(), QUEUE_PAUSE);
    const sent = messages + replies.length;
    return {
      rate: sent / ((ended - began) / 1000),
      p50_ms: percentile(replies, 0.5),
      p99_ms: percentile(replies, 0.99),
      cpu_s_per_1000: (cpu / sent) * 1000,
      peak_mb: peak,
      lost,
    };
  });
}

async function compare(scenario: Scenario): Promise<Row[]> {
  const measured = new Map<string, Measurement[]>(systems.map((system) => [system.name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const system of systems) {
      const before = processorTime();
      const result = await measure(system, scenario);
      measured.get(system.name)!.push(result);
      const stolen = stolenSince(before);
      const doubt = stolen < STOLEN_WORTH_SAYING ? '' : ` (${(100 * stolen).toFixed(0)} % of the processors stolen)`;
      progress(`${scenario.name} round ${round}/${rounds} ${system.name}: ${result.rate.toFixed(0)}/s${doubt}`);
    }
  }
  const reference = measured.get('postfix');
  return systems.map(({ name }) => {
    const runs = measured.get(name)!;
    const of = (field: keyof Measurement): number => median(runs.map((run) => run[field]));
    const ratios = runs.flatMap((run, round) =>
      reference?.[round] === undefined ? [] : [run.rate / reference[round].rate],
    );
    return {
      scenario: scenario.name,
      system: name,
      rate: of('rate'),
      ratio: median(ratios),
      p50_ms: of('p50_ms'),
      p99_ms: of('p99_ms'),
      cpu_s_per_1000: of('cpu_s_per_1000'),
      peak_mb: of('peak_mb'),
      lost: runs.reduce((sum, run) => sum + run.lost, 0),
    };
  });
}

interface PacedRun {
  /** Milliseconds from the end of data to the reply. */
  readonly times: readonly number[];
  readonly lost: number;
}

/** One system beside a load of `rate` messages a second. */
function pacedRun(system: MailSystem, rate: number): Promise<PacedRun> {
  return beside(system, { mode: 'relay', sessions: 20 }, async (_running, sink) => {
    await flood({ port: SMTP_PORT, sessions: 20, messages: system.warmUp, kept: false, size: SIZE });
    const times = await paced(SMTP_PORT, SIZE, rate, 10);
    return { times, lost: await missing(system.warmUp + times.length, sink.messages) };
  });
}

/** Reply times at half of the rate that Postfix reaches at most. */
async function pacedRows(): Promise<Row[]> {
  const most = await measure(postfix, SCENARIOS[0]!);
  const rate = most.rate / 2;
  progress(`paced: half of Postfix's ${most.rate.toFixed(0)}/s`);
  const all = new Map<string, PacedRun[]>(systems.map((system) => [system.name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const system of systems) {
      const run = await pacedRun(system, rate);
      all.get(system.name)!.push(run);
      progress(`paced round ${round}/${rounds} ${system.name}: p99 ${percentile(run.times, 0.99).toFixed(1)} ms`);
    }
  }
  return systems.map(({ name }) => {
    const runs = all.get(name)!;
    return {
      scenario: 'paced',
      system: name,
      rate,
      ratio: Number.NaN,
      p50_ms: median(runs.map(({ times }) => percentile(times, 0.5))),
      p99_ms: median(runs.map(({ times }) => percentile(times, 0.99))),
      cpu_s_per_1000: Number.NaN,
      peak_mb: Number.NaN,
      lost: runs.reduce((sum, run) => sum + run.lost, 0),
    };
  });
}

const figure = (value: number, digits: number): string => (Number.isFinite(value) ? value.toFixed(digits) : '-');

function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.scenario,
    row.system,
    figure(row.rate, 0),
    figure(row.ratio, 2),
    figure(row.p50_ms, 1),
    figure(row.p99_ms, 1),
    figure(row.cpu_s_per_1000, 2),
    figure(row.peak_mb, 0),
    String(row.lost),
  ]);
  const head = ['scenario', 'system', 'msg/s', 'ratio', 'p50 ms', 'p99 ms', 'CPU s/1000', 'peak MB', 'lost'];
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((cells) => cells[column]!.length)));
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return [head, ...lines].map(format).join('\n');
}

// What a run has started ends with it: the systems stop what they run when the process exits.
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(status));

const wanted =
  options.only === undefined ? SCENARIOS : [scenarioNamed(options.only)].filter((found) => found !== undefined);
const rows: Row[] = [];
for (const scenario of wanted) rows.push(...(await compare(scenario)));
if (options.only === undefined || options.only === 'paced') rows.push(...(await pacedRows()));
if (rows.length === 0 && options.only !== 'memory') {
  process.stderr.write(
    `bench: no scenario "${options.only}": expected ${[...SCENARIOS.map(({ name }) => name), 'paced', 'memory'].join(', ')}\n`,
  );
  process.exitCode = 64;
} else {
  if (rows.length > 0) {
    process.stdout.write(`${table(rows)}\n`);
    mkdirSync(resolve(options.var), { recursive: true });
    writeFileSync(join(resolve(options.var), 'bench.json'), `${JSON.stringify(rows, null, 2)}\n`);
  }
  let used: MemoryUse | undefined;
  if (options.only === undefined || options.only === 'memory')
    used = await memory({ base, smtpPort: SMTP_PORT, sinkPort: SINK_PORT, progress });
  const gates = gatesOf(rows, used);
  for (const { text, isMet } of gates) process.stdout.write(`gate ${isMet ? 'met' : 'MISSED'}: ${text}\n`);
  if (options.gates && gates.some(({ isMet }) => !isMet)) process.exitCode = 1;
  if (rows.some((row) => row.lost > 0)) process.exitCode = 1;
}
