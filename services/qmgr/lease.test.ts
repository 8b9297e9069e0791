import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { OwnerCount } from '../../lib/queue/sql/lease.ts';
import { type Clock, type LeaseOptions, ShardLeases, shareOf } from './lease.ts';

const LEASE = 4;

/** Time that passes when nothing else can happen: every run of a schedule is the same. */
class VirtualTime {
  now = 0;
  readonly #timers: { at: number; order: number; wake: () => void }[] = [];
  #order = 0;

  after(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      this.#timers.push({ at: this.now + milliseconds, order: this.#order++, wake });
      this.#timers.sort((a, b) => a.at - b.at || a.order - b.order);
    });
  }

  /** Calls `check` after every step. */
  async runUntil(end: number, check: () => void): Promise<void> {
    for (;;) {
      // Whatever follows from the last step has happened before the next.
      await new Promise((resolve) => setImmediate(resolve));
      check();
      const next = this.#timers[0];
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.now = next.at;
      next.wake();
    }
    this.now = end;
  }
}

interface Row {
  owner: string | undefined;
  epoch: number;
  leaseUntil: number;
}

/** The statements of lib/queue/sql/lease.ts over rows in memory; rows.test.ts has them over Postgres. */
class LeaseTable {
  readonly rows: Row[];
  readonly #alive = new Map<string, number>();
  readonly #time: VirtualTime;

  constructor(time: VirtualTime, shards: number) {
    this.#time = time;
    this.rows = Array.from({ length: shards }, () => ({ owner: undefined, epoch: 0, leaseUntil: -1 }));
  }

  #holds(owner: string): { shard: number; epoch: number }[] {
    return this.rows.flatMap((row, shard) =>
      row.owner === owner && row.leaseUntil > this.#time.now ? [{ shard, epoch: row.epoch }] : [],
    );
  }

  execute(statement: string, values: readonly unknown[]): unknown[] {
    const { now } = this.#time;
    const owner = values[0] as string;
    if (statement === 'renew-leases') {
      const until = now + (values[1] as number) * 1000;
      this.#alive.set(owner, until);
      const held = this.#holds(owner);
      for (const { shard } of held) this.rows[shard]!.leaseUntil = until;
      const others = [...this.#alive].flatMap(([other, alive]) =>
        other !== owner && alive > now ? [{ owner: other, shards: this.#holds(other).length }] : [],
      );
      return [{ held, others }];
    }
    if (statement === 'take-shards') {
      const [, seconds, limit] = values as [string, number, number];
      const free = this.rows.flatMap((row, shard) => (row.leaseUntil <= now ? [shard] : [])).slice(0, limit);
      return free.map((shard) => {
        const row = this.rows[shard]!;
        Object.assign(row, { owner, epoch: row.epoch + 1, leaseUntil: now + seconds * 1000 });
        return { shard, epoch: row.epoch };
      });
    }
    if (statement === 'release-shards') {
      const shards = values[1] as number[] | null;
      for (const [shard, row] of this.rows.entries())
        if (row.owner === owner && (shards === null || shards.includes(shard)))
          Object.assign(row, { owner: undefined, leaseUntil: -1 });
      return [];
    }
    this.#alive.delete(owner);
    return [];
  }
}

/** How one qmgr fares. Times are milliseconds. */
interface Fate {
  readonly joins: number;
  /** Leaves in order; stays where it is left out. */
  readonly leaves?: number | undefined;
  /** For each statement, in turn: until it reaches the table, and until its answer is back. */
  readonly latencies: readonly (readonly [number, number])[];
  /** Statements, by their number, whose answer is lost. */
  readonly lost: ReadonlySet<number>;
  /** Until a shard that is told to stop has stopped. */
  readonly stopTime: number;
}

interface Owner {
  readonly name: string;
  readonly leases: ShardLeases;
  readonly abort: AbortController;
  /** Shards that run. */
  readonly running: number[];
  done: boolean;
}

function startOwner(name: string, fate: Fate, table: LeaseTable, time: VirtualTime, shards: number): Owner {
  const abort = new AbortController();
  let statements = 0;
  const query = async ({ name: statement, values }: { name: string; values: unknown[] }): Promise<unknown> => {
    const number = statements++;
    const [there, back] = fate.latencies[number % fate.latencies.length]!;
    await time.after(there);
    const rows = table.execute(statement, values);
    await time.after(back);
    if (fate.lost.has(number)) throw new Error('the answer is lost');
    return { rows };
  };
  const pool = {
    query: (text: unknown, values?: unknown[]) =>
      query(typeof text === 'string' ? { name: text, values: values! } : (text as { name: string; values: unknown[] })),
  } as unknown as LeaseOptions['pool'];
  const clock: Clock = {
    now: () => time.now,
    delay: (milliseconds, signal) =>
      signal?.aborted === true
        ? Promise.resolve()
        : Promise.race([
            time.after(milliseconds),
            new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true })),
          ]),
  };
  const running: number[] = [];
  const silent = (): void => undefined;
  const leases = new ShardLeases({
    pool,
    owner: name,
    shards,
    leaseSeconds: LEASE,
    log: { info: silent, warning: silent, error: silent },
    clock,
    signal: abort.signal,
    async run(shard, _epoch, signal) {
      assert.ok(!running.includes(shard), `${name} runs shard ${shard} twice`);
      running.push(shard);
      if (!signal.aborted)
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      await time.after(fate.stopTime);
      running.splice(running.indexOf(shard), 1);
    },
  });
  const owner: Owner = { name, leases, abort, running, done: false };
  void leases.run().then(() => (owner.done = true));
  return owner;
}

interface Course {
  readonly owners: readonly Owner[];
  readonly table: LeaseTable;
}

/** Lets the fates take their course; `check` is called at every step. */
async function simulate(
  shards: number,
  fates: readonly Fate[],
  end: number,
  check: (owners: readonly Owner[]) => void = () => undefined,
): Promise<Course> {
  const time = new VirtualTime();
  const table = new LeaseTable(time, shards);
  const owners: Owner[] = [];
  const onlyOneEach = (): void => {
    for (let shard = 0; shard < shards; shard++) {
      const mine = owners.filter(({ leases }) => leases.epoch(shard) !== undefined);
      assert.ok(mine.length <= 1, `shard ${shard} is worked by ${mine.map(({ name }) => name).join(' and ')}`);
    }
    check(owners);
  };
  const lives = fates.map(async (fate, at) => {
    await time.after(fate.joins);
    const owner = startOwner(`owner-${at}`, fate, table, time, shards);
    owners.push(owner);
    if (fate.leaves === undefined) return;
    await time.after(fate.leaves - fate.joins);
    owner.abort.abort();
  });
  await time.runUntil(end, onlyOneEach);
  await Promise.all(lives);
  return { owners, table };
}

const STEADY: Fate = { joins: 0, latencies: [[2, 2]], lost: new Set(), stopTime: 5 };
const held = (owners: readonly Owner[]): number[] =>
  owners.filter(({ abort }) => !abort.signal.aborted).map(({ leases }) => leases.held.length);

test('an owner that another joins gives up what is above its share and nothing else, however long that takes', async () => {
  for (const stopTime of [5, 1000, 3900, 4100, 60_000]) {
    let least = Number.POSITIVE_INFINITY;
    const fates = [
      { ...STEADY, stopTime },
      { ...STEADY, joins: 10_000 },
    ];
    const { owners } = await simulate(2, fates, 40_000, ([first, second]) => {
      const valid = [0, 1].filter((shard) => first?.leases.epoch(shard) !== undefined).length;
      if (second !== undefined) least = Math.min(least, valid);
    });
    assert.deepEqual(held(owners), [1, 1], `${stopTime} ms`);
    assert.equal(least, 1, `${stopTime} ms`);
  }
});

test('no shard moves when an owner joins and there is nothing to even out', async () => {
  const { owners, table } = await simulate(1, [STEADY, { ...STEADY, joins: 10_000 }], 60_000);
  assert.deepEqual(held(owners), [1, 0]);
  assert.equal(table.rows[0]!.epoch, 1);
});

test('a shard whose taking had no answer is worked again within seconds', async () => {
  // Statement 1 is the first that takes.
  const { owners } = await simulate(2, [{ ...STEADY, lost: new Set([1]) }], 5000);
  assert.deepEqual(held(owners), [2]);
});

test('an owner that leaves in order is followed within a second', async () => {
  const { owners } = await simulate(4, [{ ...STEADY, leaves: 20_000 }, STEADY], 21_000);
  assert.deepEqual(held(owners), [4]);
});

const SHARES: readonly [number, OwnerCount, OwnerCount[], number][] = [
  [4, { owner: 'a', shards: 4 }, [], 4],
  [4, { owner: 'b', shards: 0 }, [{ owner: 'a', shards: 4 }], 2],
  [1, { owner: 'a', shards: 0 }, [{ owner: 'b', shards: 1 }], 0],
  [
    4,
    { owner: 'c', shards: 0 },
    [
      { owner: 'a', shards: 2 },
      { owner: 'b', shards: 2 },
    ],
    1,
  ],
  [
    4,
    { owner: 'b', shards: 2 },
    [
      { owner: 'a', shards: 2 },
      { owner: 'c', shards: 0 },
    ],
    1,
  ],
  [
    4,
    { owner: 'a', shards: 2 },
    [
      { owner: 'b', shards: 2 },
      { owner: 'c', shards: 0 },
    ],
    2,
  ],
];
for (const [shards, own, others, share] of SHARES) {
  test(`${own.owner} with ${own.shards} of ${shards} beside ${JSON.stringify(others)} is to have ${share}`, () =>
    assert.equal(shareOf(shards, own, others), share));
}

/** The end of trouble, and the time from then on in which all must be even. */
const CALM = 60_000;
const SETTLED = 90_000;

const fates = fc.array(
  fc.record({
    joins: fc.integer({ min: 0, max: CALM / 2 }),
    leaves: fc.option(fc.integer({ min: CALM / 2, max: CALM }), { nil: undefined }),
    latencies: fc.array(fc.tuple(fc.integer({ min: 0, max: 6000 }), fc.integer({ min: 0, max: 6000 })), {
      minLength: 1,
      maxLength: 20,
    }),
    lost: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 8 }).map((numbers) => new Set(numbers)),
    stopTime: fc.integer({ min: 0, max: 12_000 }),
  }),
  { minLength: 1, maxLength: 4 },
);

test('whatever answers are late or lost, no shard has two owners', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fates, async (shards, all) => {
      await simulate(shards, all, SETTLED);
    }),
    { numRuns: 150 },
  );
});

test('once answers come in time again, all shards are worked, and evenly', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fates, async (shards, all) => {
      const bounded = all.map((fate) => ({
        ...fate,
        // Trouble is in the first statements; from then on they are answered at once.
        latencies: [...fate.latencies.slice(0, 5), ...Array.from({ length: 4000 }, () => [3, 3] as const)],
      }));
      const { owners } = await simulate(shards, bounded, 3 * SETTLED);
      const counts = held(owners);
      if (counts.length === 0) return;
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        shards,
      );
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join(' '));
    }),
    { numRuns: 40 },
  );
});
