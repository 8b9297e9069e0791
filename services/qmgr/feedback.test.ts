import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConcurrencyWindow, type Feedback, parseFeedback, type WindowSettings } from './feedback.ts';

const constant = (base: number): Feedback => ({ base, per: 'constant' });
const perConcurrency: Feedback = { base: 1, per: 'concurrency' };

const SETTINGS: WindowSettings = {
  initialDestinationConcurrency: 5,
  destinationConcurrencyLimit: 20,
  failedCohortLimit: 1,
  positiveFeedback: constant(1),
  negativeFeedback: constant(1),
};

test('feedback is read in the forms of postconf(5), and nothing else is', () => {
  const cases: [string, Feedback | undefined][] = [
    ['1', constant(1)],
    ['0', constant(0)],
    ['0.25', constant(0.25)],
    ['1/4', constant(0.25)],
    ['1 / 4', constant(0.25)],
    ['3/4', constant(0.75)],
    ['1/concurrency', perConcurrency],
    ['0.5 / concurrency', { base: 0.5, per: 'concurrency' }],
    ['1 / sqrt_concurrency', { base: 1, per: 'sqrt_concurrency' }],
    ['2', undefined],
    ['4/1', undefined],
    ['1/0', undefined],
    ['2/concurrency', undefined],
    ['-1', undefined],
    ['', undefined],
    ['/', undefined],
    ['1/', undefined],
    ['1/2/3', undefined],
    ['1/queue', undefined],
    ['0x1', undefined],
    ['one', undefined],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseFeedback(text), expected, text);
});

/** Sizes of the window after each delivery, `+` a success and `-` a failure; 0 where the destination died. */
function sizes(settings: Partial<WindowSettings>, deliveries: string, busy = 1000): number[] {
  const window = new ConcurrencyWindow({ ...SETTINGS, ...settings });
  return [...deliveries].map((delivery) => {
    if (delivery === '+') window.succeeded(busy);
    else window.failed();
    return window.size;
  });
}

const alive = { failedCohortLimit: 0 };
const quarter = { positiveFeedback: constant(0.25), negativeFeedback: constant(0.25) };
const perWindow = { positiveFeedback: perConcurrency, negativeFeedback: perConcurrency };
const perRoot: Feedback = { base: 1, per: 'sqrt_concurrency' };
const cases: [string, Partial<WindowSettings>, string, number[]][] = [
  ['whole feedback grows by one each', {}, '+++', [6, 7, 8]],
  ['the limit is not exceeded', { destinationConcurrencyLimit: 7 }, '++++', [6, 7, 7, 7]],
  [
    'a limit of 0 is none',
    { destinationConcurrencyLimit: 0 },
    '+'.repeat(17),
    Array.from({ length: 17 }, (_, n) => n + 6),
  ],
  ['a quarter grows at the end of four', quarter, '++++++++', [5, 5, 5, 6, 6, 6, 6, 7]],
  ['a quarter shrinks at the beginning of four', { ...alive, ...quarter }, '-----', [4, 4, 4, 4, 3]],
  ['1/N grows after a cohort', perWindow, '+++++++++++', [5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 7]],
  ['1/N shrinks at the beginning of a cohort', { ...alive, ...perWindow }, '------', [4, 4, 4, 4, 3, 3]],
  ['1/sqrt(N)', { initialDestinationConcurrency: 4, positiveFeedback: perRoot }, '++++', [4, 5, 5, 5]],
  ['growth forgets failures', { ...alive, ...quarter }, '-++++-', [4, 4, 4, 4, 5, 4]],
  ['shrinking forgets successes', { ...alive, ...quarter }, '+++-+++', [5, 5, 5, 4, 4, 4, 4]],
  ['negative feedback alone ends at 1', alive, '--------', [4, 3, 2, 1, 1, 1, 1, 1]],
  ['from 1 it grows again', alive, '-----+', [4, 3, 2, 1, 1, 2]],
  ['no feedback', { ...alive, positiveFeedback: constant(0), negativeFeedback: constant(0) }, '+-+-', [5, 5, 5, 5]],
  ['one failed cohort of a steady window is the end', { negativeFeedback: constant(0) }, '-----', [5, 5, 5, 5, 0]],
  [
    'two cohorts',
    { negativeFeedback: constant(0), failedCohortLimit: 2 },
    '----------',
    [5, 5, 5, 5, 5, 5, 5, 5, 5, 0],
  ],
  ['a shrinking window has smaller cohorts', {}, '----', [4, 3, 2, 0]],
  [
    'a success clears the failed cohorts',
    { negativeFeedback: constant(0) },
    '----+-----',
    [5, 5, 5, 5, 6, 6, 6, 6, 6, 6],
  ],
  ['with a window of 1 one failure is the end', { initialDestinationConcurrency: 1 }, '-', [0]],
  ['the initial window keeps the limit', { destinationConcurrencyLimit: 2 }, '+-', [2, 1]],
];
for (const [name, settings, deliveries, expected] of cases) {
  test(`concurrency: ${name}`, () => assert.deepEqual(sizes(settings, deliveries), expected));
}

test('a pseudo-cohort of any size is as many failures as the window, whatever fractions add up to', () => {
  for (let size = 1; size <= 200; size++) {
    const window = new ConcurrencyWindow({
      ...SETTINGS,
      initialDestinationConcurrency: size,
      destinationConcurrencyLimit: 0,
      negativeFeedback: constant(0),
    });
    let failures = 1;
    while (!window.failed()) failures++;
    assert.equal(failures, size);
  }
});

test('a window far above what is under way does not grow', () => {
  assert.deepEqual(sizes({}, '+++', 1), [6, 6, 6]);
  assert.deepEqual(sizes({}, '+++', 2), [6, 7, 7]);
});

test('a dead destination that is tried again begins with the initial concurrency and a clean record', () => {
  const window = new ConcurrencyWindow({ ...SETTINGS, ...perWindow });
  while (!window.failed()) assert.ok(window.size > 0);
  window.restart();
  assert.equal(window.size, 5);
  assert.deepEqual([window.failed(), window.failed(), window.failed(), window.failed()], [false, false, false, false]);
});

test('while the destination lives its window stays within 1 and the limit', () => {
  const feedback = fc.record({
    base: fc.double({ min: 0, max: 1, noNaN: true }),
    per: fc.constantFrom('constant' as const, 'concurrency' as const, 'sqrt_concurrency' as const),
  });
  fc.assert(
    fc.property(
      feedback,
      feedback,
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 30 }),
      fc.nat(3),
      fc.array(fc.record({ good: fc.boolean(), busy: fc.nat(40) }), { maxLength: 300 }),
      (
        positiveFeedback,
        negativeFeedback,
        initialDestinationConcurrency,
        destinationConcurrencyLimit,
        failedCohortLimit,
        deliveries,
      ) => {
        const window = new ConcurrencyWindow({
          initialDestinationConcurrency,
          destinationConcurrencyLimit,
          failedCohortLimit,
          positiveFeedback,
          negativeFeedback,
        });
        for (const { good, busy } of deliveries) {
          const before = window.size;
          if (good) window.succeeded(busy);
          else if (window.failed()) {
            assert.equal(window.size, 0);
            assert.ok(failedCohortLimit > 0);
            return;
          }
          assert.ok(Number.isInteger(window.size) && Math.abs(window.size - before) <= 1);
          assert.ok(window.size >= 1 && window.size <= destinationConcurrencyLimit, String(window));
        }
      },
    ),
  );
});
