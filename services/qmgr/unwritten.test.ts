/** What becomes of messages without rows: recorded once, however deliveries, statements and lost answers fall together. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Arrival, Arrivals } from './arrival.ts';
import { UnwrittenArrivals } from './unwritten.ts';

const arrival = (sequence: number): Arrival => ({
  sequence,
  entry: 0,
  envelope: {} as Arrival['envelope'],
  envelopeSubject: undefined,
  envelopeBytes: Buffer.alloc(0),
  content: Buffer.alloc(0),
  resolved: [],
  unwritten: undefined,
});
const read = (...sequences: number[]): Arrivals => ({
  arrivals: sequences.map(arrival),
  corrupt: [],
  to: sequences.at(-1)!,
  lastFrame: `frame ${sequences.at(-1)}`,
  octets: 1,
});
const always = (): boolean => true;
const sequences = (arrivals: readonly Arrival[] | undefined): number[] => (arrivals ?? []).map((a) => a.sequence);

test('a message that is delivered before the statement gets no rows, and its end is recorded by the statement', async () => {
  const unwritten = new UnwrittenArrivals();
  unwritten.rewind(0, 1);
  const [first, second] = unwritten.add(read(1, 2), 0, always);
  first!.unwritten!.delivered = true;
  assert.deepEqual(sequences(unwritten.next(100)?.rows), [2]);
  unwritten.confirm(2);
  assert.equal(await first!.unwritten!.settled, true);
  assert.equal(await second!.unwritten!.settled, false);
  assert.equal(unwritten.next(200), undefined);
});

test('a message that is delivered while the statement with its rows is under way is told to Postgres as any other', async () => {
  const unwritten = new UnwrittenArrivals();
  unwritten.rewind(0, 1);
  const [message] = unwritten.add(read(1), 0, always);
  assert.deepEqual(sequences(unwritten.next(100)?.rows), [1]);
  message!.unwritten!.delivered = true;
  unwritten.confirm(1);
  assert.equal(await message!.unwritten!.settled, false);
});

test('a statement waits for deliveries, but not where a message cannot go on without its rows', () => {
  const unwritten = new UnwrittenArrivals();
  assert.equal(unwritten.dueIn(0), undefined);
  unwritten.add(read(1), 1000, always);
  assert.equal(unwritten.dueIn(1000), 25);
  unwritten.add(read(2), 1000, () => false);
  assert.equal(unwritten.dueIn(1000), 0);
  unwritten.next(1000);
  unwritten.confirm(2);
  unwritten.add(read(3), 1010, always);
  assert.equal(unwritten.dueIn(1010), 40);
  unwritten.add(read(4), 1010, () => false);
  assert.equal(unwritten.dueIn(1010), 6);
});

test('what came a moment before a statement has time for its delivery until the next', () => {
  const unwritten = new UnwrittenArrivals();
  unwritten.rewind(0, 1);
  unwritten.add(read(1), 1000, always);
  unwritten.add(read(2), 1020, always);
  assert.deepEqual(sequences(unwritten.next(1030)?.arrivals), [1]);
  unwritten.confirm(1);
  assert.equal(unwritten.next(1031), undefined);
  unwritten.add(read(3), 1040, () => false);
  assert.deepEqual(sequences(unwritten.next(1041)?.arrivals), [2, 3]);
});

test('another log has nothing to do with what the former one brought', async () => {
  const unwritten = new UnwrittenArrivals();
  unwritten.rewind(0, 1);
  const [message] = unwritten.add(read(1), 0, always);
  unwritten.rewind(0, 2);
  assert.equal(await message!.unwritten!.settled, false);
  assert.deepEqual(sequences(unwritten.add(read(1), 0, always)), [1]);
});

/** A log, and Postgres, which carries out a statement whether or not its answer arrives. */
class Model {
  readonly unwritten = new UnwrittenArrivals();
  readonly admitted = new Map<number, Arrival>();
  readonly delivered = new Set<number>();
  readonly rows = new Set<number>();
  applied = 0;
  read = 0;
  /** Milliseconds; every reading is some later than the one before. */
  now = 0;

  constructor() {
    this.unwritten.rewind(0, 1);
  }

  readMore(count: number): void {
    this.now += 10;
    const from = this.read + 1;
    this.read += count;
    const admit = this.unwritten.add(read(...Array.from({ length: count }, (_, at) => from + at)), this.now, always);
    for (const message of admit) {
      assert.ok(!this.admitted.has(message.sequence), `${message.sequence} is admitted once`);
      this.admitted.set(message.sequence, message);
    }
  }

  deliver(choice: number): void {
    const waiting = [...this.admitted.values()].filter(({ sequence }) => !this.delivered.has(sequence));
    const message = waiting[choice % Math.max(1, waiting.length)];
    if (message === undefined) return;
    this.delivered.add(message.sequence);
    message.unwritten!.delivered = true;
  }

  /** One statement: done or not, and its answer heard or not. */
  write(done: boolean, heard: boolean, during: number): void {
    const batch = this.unwritten.next(this.now);
    if (batch === undefined) return;
    this.deliver(during);
    if (done) {
      for (const { sequence } of batch.rows) this.rows.add(sequence);
      this.applied = batch.to;
    }
    if (done && heard) this.unwritten.confirm(batch.to);
    else {
      this.unwritten.rewind(this.applied, 1);
      this.read = this.applied;
    }
  }
}

const command = fc.oneof(
  fc.record({ kind: fc.constant('read' as const), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('deliver' as const), choice: fc.nat(20) }),
  fc.record({ kind: fc.constant('write' as const), done: fc.boolean(), heard: fc.boolean(), during: fc.nat(20) }),
);

test('each message is admitted once, and has rows or was recorded as delivered, whatever answers are lost', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
      const model = new Model();
      for (const step of commands) {
        if (step.kind === 'read') model.readMore(step.count);
        else if (step.kind === 'deliver') model.deliver(step.choice);
        else model.write(step.done, step.heard, step.during);
      }
      model.readMore(1);
      model.now += 1000;
      model.write(true, true, 0);
      // What was read before a rewind and not since is still to be met.
      assert.equal(model.applied, model.read);
      for (const [sequence, { unwritten }] of model.admitted) {
        if (sequence > model.applied) continue;
        const recorded = await unwritten!.settled;
        assert.equal(recorded, !model.rows.has(sequence), `${sequence}: either rows or a record`);
        if (recorded) assert.ok(model.delivered.has(sequence), `${sequence} is only passed over when it was delivered`);
      }
    }),
    { numRuns: 500 },
  );
});
