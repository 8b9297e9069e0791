import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wake } from '../../lib/util/wake.ts';
import { ringAtWakeups } from './wakeup.ts';

test('the bell rings at each wake-up of the master.cf entry until the service ends', ({ mock }) => {
  mock.timers.enable({ apis: ['setInterval'] });
  const cases: [string, number, number, number][] = [
    ['every 300 seconds', 300, 900_000, 3],
    ['never for 0', 0, 900_000, 0],
    ['not before its time', 300, 299_999, 0],
    ['a time beyond what timers hold', 10_000_000, 900_000, 0],
  ];
  for (const [name, seconds, elapsed, expected] of cases) {
    const wake = new Wake();
    const ring = mock.method(wake, 'ring');
    const end = new AbortController();
    ringAtWakeups(wake, seconds, end.signal);
    mock.timers.tick(elapsed);
    assert.equal(ring.mock.callCount(), expected, name);
    end.abort();
    mock.timers.tick(elapsed * 4);
    assert.equal(ring.mock.callCount(), expected, `${name}, after its end`);
  }
});
