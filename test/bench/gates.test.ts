import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gatesOf, type Rated } from './gates.ts';

const row = (scenario: string, system: string, ratio: number, p99_ms = 10): Rated => ({
  scenario,
  system,
  ratio,
  p99_ms,
});

const judged: [string, Parameters<typeof gatesOf>, boolean[]][] = [
  ['just what is wanted', [[row('relay-20', 'postfleet', 3)], undefined], [true]],
  ['less', [[row('relay-20', 'postfleet', 2.99)], undefined], [false]],
  ['connections kept, where more is wanted', [[row('relay-20-kept', 'postfleet', 3.5)], undefined], [false]],
  ['many processes', [[row('relay-20', 'postfleet-processes', 1.5)], undefined], [true]],
  ['Postfix did not run', [[row('relay-20', 'postfleet', Number.NaN)], undefined], []],
  ['a scenario without a gate', [[row('relay-200', 'postfleet', 0.5)], undefined], []],
  [
    'replies slower than those of Postfix',
    [[row('paced', 'postfix', Number.NaN, 9), row('paced', 'postfleet', Number.NaN, 9.1)], undefined],
    [false],
  ],
  ['memory', [[], { idle: 350, deferred: 301 }], [true, false]],
];

for (const [situation, measured, met] of judged) {
  test(`gates: ${situation}`, () => {
    assert.deepEqual(
      gatesOf(...measured).map(({ isMet }) => isMet),
      met,
    );
  });
}
