import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { testContext } from '../../test/support/delivery.ts';
import { Counts, type RateKind } from './counts.ts';
import { service } from './main.ts';
import { Statistics } from './statistics.ts';

process.env.TZ = 'UTC';

test('events of one client are counted, and the largest are logged at the end', async () => {
  const lines: string[] = [];
  const running = await service.start(testContext({ mainCf: 'anvil_rate_time_unit = 60s', lines, name: 'anvil' }));
  const { count } = running.implementation.anvil!;
  const a = 'smtp:192.0.2.1';
  const events = ['connect', 'connect', 'message', 'recipient', 'recipient', 'disconnect', 'connect', 'newtls_report'];
  assert.deepEqual(await count([...events, 'nonsense'].map((event) => ({ event, ident: a }))), [
    { count: 1, rate: 1 },
    { count: 2, rate: 2 },
    { count: 2, rate: 1 },
    { count: 2, rate: 1 },
    { count: 2, rate: 2 },
    { count: 0, rate: 0 },
    { count: 2, rate: 3 },
    { count: 2, rate: 0 },
    { count: 0, rate: 0 },
  ]);
  assert.deepEqual(await count([{ event: 'connect', ident: 'smtp:192.0.2.2' }]), [{ count: 1, rate: 1 }]);
  await running[Symbol.asyncDispose]();
  const timeless = lines.map((line) => line.replace(/ at \w{3} [ \d]\d \d\d:\d\d:\d\d$/, ''));
  assert.deepEqual(timeless, [
    `statistics: max connection rate 3/60s for (${a})`,
    `statistics: max connection count 2 for (${a})`,
    `statistics: max message rate 1/60s for (${a})`,
    `statistics: max recipient rate 2/60s for (${a})`,
    'statistics: max cache size 2',
  ]);
});

test('statistics begin again after they were logged', () => {
  const statistics = new Statistics(60, () => new Date('2026-11-02T03:04:05Z'));
  statistics.rate('auth', 3, 'x');
  statistics.rate('auth', 2, 'y');
  assert.deepEqual(statistics.take(), ['statistics: max auth rate 3/60s for (x) at Nov  2 03:04:05']);
  assert.deepEqual(statistics.take(), []);
});

function counts(limit = 1000) {
  const clock = { now: 0 };
  return { clock, counts: new Counts({ timeUnit: 60_000, limit, staleAfter: 600_000, now: () => clock.now }) };
}

test('a rate begins again after its time unit, an open connection stays', () => {
  const { clock, counts: all } = counts();
  all.connect('a');
  all.count('a', 'message');
  clock.now = 60_000;
  assert.equal(all.count('a', 'message'), 2);
  clock.now = 60_001;
  assert.equal(all.rate('a', 'message'), 0);
  assert.equal(all.count('a', 'message'), 1);
  assert.deepEqual(all.connect('a'), { count: 2, rate: 1 });
});

test('clients that are quiet are forgotten, those with connections only when they are stale', () => {
  const { clock, counts: all } = counts();
  all.connect('open');
  all.count('quiet', 'recipient');
  clock.now = 60_001;
  all.expire();
  all.count('later', 'recipient');
  assert.equal(all.size, 2);
  assert.equal(all.open('open'), 1);
  clock.now = 600_001;
  all.expire();
  assert.equal(all.size, 0);
});

test('a disconnect that nobody connected for changes nothing', () => {
  const { counts: all } = counts();
  all.disconnect('a');
  assert.equal(all.size, 0);
  all.count('a', 'message');
  all.disconnect('a');
  assert.equal(all.open('a'), 0);
});

test('memory is bounded: whoever was quiet for longest goes', () => {
  const { counts: all } = counts(3);
  for (const ident of ['a', 'b', 'c', 'a', 'd']) all.connect(ident);
  assert.equal(all.size, 3);
  assert.deepEqual(
    ['a', 'b', 'c', 'd'].map((ident) => all.open(ident)),
    [2, 0, 1, 1],
  );
});

test('counts agree with a plain model, whatever happens', () => {
  const event = fc.record({
    what: fc.constantFrom('connect', 'disconnect', 'message', 'auth'),
    ident: fc.constantFrom('a', 'b', 'c'),
    pause: fc.constantFrom(0, 1, 59_999, 60_000, 60_001),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const { clock, counts: all } = counts();
      const model = new Map<string, { open: number; start: number; rates: Map<string, number> }>();
      for (const { what, ident, pause } of events) {
        clock.now += pause;
        if (what === 'disconnect') {
          all.disconnect(ident);
          const client = model.get(ident);
          if (client === undefined || client.open === 0) continue;
          client.open--;
          if (clock.now - client.start > 60_000)
            model.set(ident, { open: client.open, start: clock.now, rates: new Map() });
          continue;
        }
        let client = model.get(ident);
        if (client === undefined || clock.now - client.start > 60_000) {
          client = { open: client?.open ?? 0, start: clock.now, rates: new Map() };
          model.set(ident, client);
        }
        const kind: RateKind = what === 'connect' ? 'connection' : (what as RateKind);
        client.rates.set(kind, (client.rates.get(kind) ?? 0) + 1);
        if (what === 'connect') client.open++;
        const rate = what === 'connect' ? all.connect(ident).rate : all.count(ident, kind);
        assert.equal(rate, client.rates.get(kind));
        assert.equal(all.open(ident), client.open);
      }
    }),
  );
});
