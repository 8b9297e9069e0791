import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from './message.ts';
import { DestinationQueue } from './queue.ts';
import { parseFeedback, type TransportSettings } from './settings.ts';

const SETTINGS: TransportSettings = {
  name: 'smtp',
  processLimit: 100,
  destinationConcurrencyLimit: 20,
  destinationRecipientLimit: 50,
  initialDestinationConcurrency: 5,
  failedCohortLimit: 1,
  positiveFeedback: { base: 1, per: 'constant' },
  negativeFeedback: { base: 1, per: 'constant' },
  destinationRateDelayMs: 0,
  transportRateDelayMs: 0,
};
const REASON = {
  status: '4.4.1',
  action: 'delayed',
  reason: 'connection refused',
  diagnosticType: '',
  diagnosticText: '',
  remoteMta: '',
};
const entry = {} as Entry;

function queue(settings: Partial<TransportSettings> = {}): DestinationQueue {
  return new DestinationQueue('example.com', 'example.com', { ...SETTINGS, ...settings });
}

test('a destination starts with the initial concurrency and grows with success up to its limit', () => {
  const destination = queue();
  assert.equal(destination.window, 5);
  for (let at = 0; at < 100; at++) destination.push(entry);
  for (let round = 0; round < 60; round++) {
    while (destination.canTake(0)) destination.take();
    destination.succeeded();
    destination.busy--;
  }
  assert.equal(destination.window, 20);
});

test('after one cohort of failures the destination is dead, and comes back with the initial concurrency', () => {
  const destination = queue();
  for (let at = 0; at < 10; at++) destination.push(entry);
  for (let at = 0; at < 5; at++) destination.take();
  let died = 0;
  for (let at = 0; at < 5; at++) if (destination.failed(REASON, 1000, 300_000)) died++;
  assert.equal(died, 1);
  assert.equal(destination.canTake(2000), false);
  assert.equal(destination.deadReason, REASON);
  assert.equal(destination.drain().length, 5);
  destination.revive();
  assert.equal(destination.window, 5);
  assert.equal(destination.deadReason, undefined);
});

test('a failed cohort limit of 0 never kills a destination, it only becomes slow', () => {
  const destination = queue({ failedCohortLimit: 0 });
  for (let at = 0; at < 50; at++) destination.failed(REASON, 0, 1000);
  assert.equal(destination.deadReason === undefined && destination.window === 1, true);
});

test('entries come out in the order in which they went in, however many there are', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (steps) => {
      const destination = queue({ initialDestinationConcurrency: 1000 });
      let put = 0;
      let taken = 0;
      for (const push of steps) {
        if (push) destination.push({ attempts: put++ } as Entry);
        else if (destination.waiting > 0) assert.equal(destination.take().attempts, taken++);
      }
      assert.equal(destination.waiting, put - taken);
      assert.deepEqual(
        destination.drain().map(({ attempts }) => attempts),
        Array.from({ length: put - taken }, (_, at) => taken + at),
      );
    }),
  );
});

test('the window stays within 1 and the limit while the destination lives', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (outcomes) => {
      const destination = queue({ failedCohortLimit: 100 });
      for (const good of outcomes) {
        destination.push(entry);
        if (destination.canTake(0)) destination.take();
        if (good) destination.succeeded();
        else destination.failed(REASON, 0, 1000);
        if (destination.busy > 0) destination.busy--;
        if (destination.deadReason !== undefined) return;
        assert.ok(destination.window >= 1 && destination.window <= 20, String(destination.window));
      }
    }),
  );
});

test('feedback expressions are read as postconf(5) writes them', () => {
  const cases: [string, ReturnType<typeof parseFeedback>][] = [
    ['1', { base: 1, per: 'constant' }],
    ['0.5', { base: 0.5, per: 'constant' }],
    ['1/concurrency', { base: 1, per: 'concurrency' }],
    ['1 / sqrt_concurrency', { base: 1, per: 'sqrt_concurrency' }],
    ['2', undefined],
    ['-1', undefined],
    ['', undefined],
    ['1/2/3', undefined],
    ['1/queue', undefined],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseFeedback(text), expected, text);
});
