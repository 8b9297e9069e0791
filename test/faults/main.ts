/**
 * make faults: every process is killed with SIGKILL at random moments under load, and the ledger must balance; then what was
 * answered 250 must be on the disk when all writers stop at once.
 *
 *   --messages N   messages of all runs (20000)
 *   --kills K      kills of all runs (40)
 *   --seed S       the same seed makes the same messages, kills and order; the moments depend on the machine as well
 *   --shape S      one: all services in one process. many: each a process of its own. Both by halves where it is left out
 *   --part P       kills or disk; both where it is left out
 *
 * Ends with the line `sent … accepted … kills …`. Exit status 1 where mail was lost, arrived damaged, bounced without need or was
 * still queued a minute after the last arrival though every next hop takes it, a duplicate has no cause, a process ended that nobody killed, a kind of process was never killed while it held work though there
 * were kills enough for each kind, a takeover took too long, or the disk does not hold what it should.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Shape } from './configuration.ts';
import { disk } from './disk.ts';
import { balance, passes, type Records, summary } from './ledger.ts';
import { seeded } from './random.ts';
import { run } from './run.ts';
import type { Takeover } from './takeover.ts';

const TAKEOVER_LIMIT = 5;
const DISK_MESSAGES = 1000;
/** Lines of a kind that are shown at most, duplicates excepted. */
const LISTED = 200;

const { values: options } = parseArgs({
  options: {
    var: { type: 'string', default: 'var' },
    messages: { type: 'string', default: '20000' },
    kills: { type: 'string', default: '40' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    shape: { type: 'string' },
    part: { type: 'string' },
  },
});

const isTerminal = process.stderr.isTTY;
const progress = (text: string): void => {
  if (isTerminal) process.stderr.write(`\r\x1b[K${text}`);
};
const say = (line: string): void => {
  progress('');
  process.stdout.write(`${line}\n`);
};

function merge(all: readonly Records[]): Records {
  return {
    sent: all.flatMap(({ sent }) => sent),
    copies: all.flatMap(({ copies }) => copies),
    notices: all.flatMap(({ notices }) => notices),
    queued: new Set(all.flatMap(({ queued }) => [...queued])),
    kills: all.flatMap(({ kills }) => kills),
    removed: new Map(all.flatMap(({ removed }) => [...removed])),
  };
}

async function killing(directory: string): Promise<boolean> {
  const seed = Number(options.seed);
  const random = seeded(seed);
  const shapes: readonly Shape[] = options.shape === undefined ? ['one', 'many'] : [options.shape as Shape];
  say(`seed ${seed}`);
  const records: Records[] = [];
  const takeovers: Takeover[] = [];
  const crashes: string[] = [];
  const neverBusy: string[] = [];
  for (const [at, shape] of shapes.entries()) {
    const part = (total: number): number => Math.floor((total + at) / shapes.length);
    const result = await run({
      shape,
      directory: join(directory, shape),
      messages: part(Number(options.messages)),
      kills: part(Number(options.kills)),
      random,
      say,
      progress,
    });
    records.push(result.records);
    takeovers.push(...result.takeovers);
    crashes.push(...result.crashes);
    neverBusy.push(...result.neverBusy.map((kind) => `${kind} (${shape})`));
  }
  const merged = merge(records);
  const verdict = balance(merged);
  for (const { id, recipient, copies, cause, detail } of verdict.duplicates)
    say(`duplicate ${id} ${recipient}: ${copies} copies: ${cause ?? 'NO CAUSE'} (${detail})`);
  for (const id of verdict.lost.slice(0, LISTED)) say(`LOST ${id}`);
  for (const unit of verdict.damaged.slice(0, LISTED)) say(`DAMAGED ${unit}`);
  for (const unit of verdict.wronglyBounced.slice(0, LISTED)) say(`BOUNCED though nobody refused it: ${unit}`);
  for (const crash of crashes.slice(0, LISTED)) say(`CRASH ${crash}`);
  for (const kind of neverBusy) say(`IDLE ${kind}: never killed while it held work`);
  const { excusable } = verdict;
  say(
    `an open attempt would excuse ${excusable.copies} of ${excusable.of} deliveries (${((100 * excusable.copies) / Math.max(1, excusable.of)).toFixed(1)} %)`,
  );
  const slowest = Math.max(0, ...takeovers.map(({ seconds }) => seconds));
  const flowing = Math.max(0, ...takeovers.map(({ flowing }) => flowing ?? 0));
  if (takeovers.length > 0)
    say(`takeover: max ${slowest.toFixed(1)} s of ${takeovers.length}; mail flows again after ${flowing.toFixed(1)} s`);
  say(summary(verdict, merged.kills.length));
  return (
    passes(verdict) &&
    verdict.queued === 0 &&
    crashes.length === 0 &&
    neverBusy.length === 0 &&
    slowest <= TAKEOVER_LIMIT
  );
}

// What runs is ended with us: see the exit listeners of the fleet and of the image.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

const directory = resolve(options.var, 'faults');
mkdirSync(directory, { recursive: true });
let good = true;
if (options.part !== 'kills')
  good = (await disk({ directory, say, messages: DISK_MESSAGES, random: seeded(Number(options.seed)) })) && good;
if (options.part !== 'disk') good = (await killing(directory)) && good;
process.exitCode = good ? 0 : 1;
