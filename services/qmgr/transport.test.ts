import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { StatusNotification } from '../../lib/clients/protocols.ts';
import type { Entry } from './message.ts';
import { addToTransport, testMessage, testTransportSettings } from './messages-for-tests.ts';
import type { DestinationQueue } from './queue.ts';
import type { TransportSettings } from './settings.ts';
import { Transport } from './transport.ts';

const REASON: StatusNotification = {
  status: '4.4.1',
  action: 'delayed',
  reason: 'connection refused',
  diagnosticType: '',
  diagnosticText: '',
  remoteMta: '',
};
const SETTINGS = testTransportSettings();

function transport(overrides: Partial<TransportSettings> = {}): Transport {
  return new Transport({ ...SETTINGS, destinationRecipientLimit: 2, ...overrides });
}

/** `count` recipients at one destination. */
const list = (count: number, nexthop = 'example.com') => Array.from({ length: count }, (_, n) => `u${n}@${nexthop}`);

/** Delivers one entry after the other; the numbers of their messages, in order. */
function deliverAll(of: Transport, now = 0): number[] {
  const order: number[] = [];
  for (let entry = of.select(now); entry !== undefined; entry = of.select(now)) {
    order.push(entry.message.key.sequence);
    of.release(entry.queue, now);
    of.done(entry);
  }
  return order;
}

const sequence = (order: readonly number[]): string => order.join('');

/** Entries of one recipient each that share a destination. */
const SLOTS = {
  destinationRecipientLimit: 0,
  deliverySlotCost: 2,
  deliverySlotDiscount: 0,
  deliverySlotLoan: 0,
  minimumDeliverySlots: 3,
};

/** Messages of so many entries each, all for one destination, in the order of their delivery. */
function orderOf(entries: readonly number[], overrides: Partial<TransportSettings>): string {
  const one = transport({ ...SLOTS, ...overrides, destinationRecipientLimit: 2 });
  // Two recipients make an entry.
  for (const [at, count] of entries.entries()) addToTransport(one, testMessage(at + 1, list(count * 2)));
  return sequence(deliverAll(one));
}

const orders: [string, readonly number[], Partial<TransportSettings>, string][] = [
  ['without a discount all slots are gathered first', [10, 2, 2], {}, '11112211113311'],
  ['with half of them lent, small mail goes sooner', [10, 2, 2], { deliverySlotDiscount: 50 }, '11221111331111'],
  ['a loan lets it go at once, and is paid back', [10, 2, 2], { deliverySlotLoan: 2 }, '22111133111111'],
  ['a cost of 0 is first come, first served', [10, 2, 2], { deliverySlotCost: 0 }, '11111111112233'],
  ['a cost of 1 counts as 2', [10, 2, 2], { deliverySlotCost: 1 }, '11112211113311'],
  [
    'a message that could not gather enough slots is not preempted',
    [10, 2, 2],
    { minimumDeliverySlots: 6 },
    '11111111112233',
  ],
  ['one that could just gather them is', [10, 2, 2], { minimumDeliverySlots: 5 }, '11112211111133'],
  ['what needs more slots than there will ever be waits', [10, 6, 2], {}, '111133111111222222'],
  [
    'what preempts may be preempted',
    [40, 10, 2],
    { minimumDeliverySlots: 1 },
    `111133${'1'.repeat(20)}${'2'.repeat(10)}${'1'.repeat(16)}`,
  ],
  ['mail of the same size is first come, first served', [3, 3, 3], {}, '111222333'],
];
for (const [name, entries, overrides, expected] of orders) {
  test(`preemption: ${name}`, () => assert.equal(orderOf(entries, overrides), expected));
}

test('a large message is preempted by as many deliveries as it has gathered slots for, and no more', () => {
  const one = transport({ ...SETTINGS, destinationRecipientLimit: 2 });
  addToTransport(one, testMessage(1, list(200)));
  for (let number = 2; number <= 101; number++) addToTransport(one, testMessage(number, list(1)));
  const order = deliverAll(one);
  const before = order.lastIndexOf(1) + 1 - 100;
  // A slot for each five of its hundred deliveries, as long as three are left to be had; the loan is paid back in time.
  assert.equal(before, 18);
  assert.equal(order.length, 200);
});

test('what waited longest for its size goes first', () => {
  const one = transport(SLOTS);
  const two = transport({ ...SLOTS, destinationRecipientLimit: 2 });
  for (const which of [one, two]) {
    addToTransport(which, testMessage(1, list(80)), 0);
    addToTransport(which, testMessage(2, list(8)), 0);
    addToTransport(which, testMessage(3, list(2)), 9_000);
  }
  const order = deliverAll(two, 10_000);
  // Four entries that waited ten seconds come before one that waited one; a moment ago it would be the other way round.
  assert.ok(order.indexOf(2) < order.indexOf(3));
});

test('destinations of a message take turns', () => {
  const one = transport({ destinationRecipientLimit: 1 });
  const addresses = ['a', 'b', 'c'].flatMap((nexthop) => list(2, nexthop));
  const plain = transport({ destinationRecipientLimit: 2, initialDestinationConcurrency: 20 });
  addToTransport(
    plain,
    testMessage(
      1,
      ['a', 'b', 'c'].flatMap((nexthop) => list(6, nexthop)),
    ),
  );
  const hops: string[] = [];
  for (let entry = plain.select(0); entry !== undefined; entry = plain.select(0)) hops.push(entry.queue.nexthop);
  assert.equal(hops.join(''), 'abcabcabc');
  addToTransport(one, testMessage(2, addresses));
  assert.equal([...one.queues].length, 6, 'with one recipient a delivery each recipient is a destination');
});

test('a blocked destination holds up neither its message nor others', () => {
  const one = transport({ initialDestinationConcurrency: 1, destinationConcurrencyLimit: 1 });
  addToTransport(one, testMessage(1, [...list(4, 'slow'), ...list(2, 'quick')]));
  addToTransport(one, testMessage(2, list(2, 'slow')));
  addToTransport(one, testMessage(3, list(2, 'other')));
  const taken: Entry[] = [];
  for (let entry = one.select(0); entry !== undefined; entry = one.select(0)) taken.push(entry);
  assert.deepEqual(
    taken.map((entry) => [entry.message.key.sequence, entry.queue.nexthop]),
    [
      [1, 'slow'],
      [1, 'quick'],
      [3, 'other'],
    ],
  );
  one.release(taken[0]!.queue, 0);
  assert.equal(one.select(0)?.message.key.sequence, 1);
});

test('a blocked message preempts nobody', () => {
  const one = transport({ ...SLOTS, destinationRecipientLimit: 1, minimumDeliverySlots: 1 });
  const busy = one.queue('busy\nx@busy', 'busy');
  busy.busy = busy.window.size;
  addToTransport(one, testMessage(1, list(20)));
  addToTransport(one, testMessage(2, ['x@busy']));
  addToTransport(one, testMessage(3, ['y@free']));
  assert.equal(sequence(deliverAll(one)).indexOf('3'), 2);
});

test('a message for a destination of its own slips past a hundred thousand recipients of another', () => {
  const one = transport({ destinationRecipientLimit: 50, processLimit: 1 });
  addToTransport(one, testMessage(1, list(100_000)));
  addToTransport(one, testMessage(2, list(1)));
  addToTransport(one, testMessage(3, list(1, 'elsewhere')));
  const first = Array.from({ length: 10 }, () => {
    const entry = one.select(0)!;
    one.release(entry.queue, 0);
    return entry.message.key.sequence;
  });
  assert.deepEqual([...new Set(first)].sort(), [1, 2, 3]);
});

test('small messages wait for their share of a large one, however many wait for a destination that is blocked', () => {
  const one = transport({
    destinationRecipientLimit: 2,
    destinationConcurrencyLimit: 1,
    initialDestinationConcurrency: 1,
  });
  addToTransport(one, testMessage(1, list(2000, 'open')));
  for (let number = 2; number < 5000; number++) addToTransport(one, testMessage(number, list(1, 'blocked')));
  const blocked = one.queue('blocked', 'blocked');
  blocked.busy = 1;
  for (let number = 5000; number < 5010; number++) addToTransport(one, testMessage(number, list(1, 'open')));
  const order: number[] = [];
  for (let now = 0; order.length < 1010; now += 10) {
    const entry = one.select(now)!;
    order.push(entry.message.key.sequence);
    one.release(entry.queue, now);
  }
  // After a second at most, all that wait have been looked at.
  for (let number = 5000; number < 5010; number++)
    assert.ok(order.indexOf(number) < 200, String(order.indexOf(number)));
});

test('with a destination rate delay one delivery follows the other after the pause, each destination for itself', () => {
  const one = new Transport(
    testTransportSettings('default_destination_rate_delay = 2s\ndefault_destination_recipient_limit = 2'),
  );
  addToTransport(one, testMessage(1, [...list(6, 'a'), ...list(2, 'b')]));
  const first = one.select(0)!;
  const second = one.select(0)!;
  assert.deepEqual([first.queue.nexthop, second.queue.nexthop], ['a', 'b']);
  assert.equal(one.select(0), undefined);
  one.release(first.queue, 500);
  assert.equal(one.select(600), undefined);
  assert.equal(one.wakeAt(600), 2500);
  assert.equal(one.tick(2499), false);
  assert.equal(one.tick(2500), true);
  assert.equal(one.select(2500)?.queue.nexthop, 'a');
  assert.equal(one.select(2500), undefined);
});

test('with a transport rate delay one delivery follows the other after the pause, whatever the destination', () => {
  const one = new Transport(testTransportSettings('test_transport_rate_delay = 20s'));
  addToTransport(one, testMessage(1, ['x@a', 'x@b']));
  const first = one.select(0)!;
  assert.equal(one.select(0), undefined);
  one.release(first.queue, 1000);
  assert.equal(one.select(20_999), undefined);
  assert.equal(one.wakeAt(20_999), 21_000);
  assert.ok(one.tick(21_000));
  assert.equal(one.select(21_000)?.queue.nexthop, 'b');
});

test('what waits for a destination that dies waits no more, and after its time it is tried again', () => {
  const one = transport({ destinationRecipientLimit: 1, initialDestinationConcurrency: 1 });
  addToTransport(one, testMessage(1, ['x@a']));
  addToTransport(one, testMessage(2, ['x@a']));
  const entry = one.select(0)!;
  const drained = one.failed(entry.queue, REASON, 5000);
  one.release(entry.queue, 0);
  assert.deepEqual(
    drained.map(({ message }) => message.key.sequence),
    [2],
  );
  addToTransport(one, testMessage(3, ['x@a']));
  assert.equal(one.select(0), undefined);
  assert.equal(one.wakeAt(0), 5000);
  assert.ok(one.tick(5000));
  assert.equal(one.select(5000)?.message.key.sequence, 3);
});

test('a delivery that reaches a dead destination, or a flush, brings it back', () => {
  for (const how of ['delivery', 'flush']) {
    const one = transport({
      initialDestinationConcurrency: 2,
      destinationRecipientLimit: 2,
      negativeFeedback: { base: 0, per: 'constant' },
    });
    addToTransport(one, testMessage(1, list(6)));
    const [first, second] = [one.select(0)!, one.select(0)!];
    one.failed(first.queue, REASON, 5000);
    assert.equal(one.failed(second.queue, REASON, 5000).length, 1);
    if (how === 'delivery') one.succeeded(first.queue);
    else one.forgetDead();
    assert.equal(first.queue.deadReason, undefined);
    assert.equal(first.queue.window.size, 2);
    assert.equal(one.wakeAt(0), Number.POSITIVE_INFINITY);
  }
});

test('no more dead destinations are remembered than qmgr_message_recipient_limit', () => {
  const one = new Transport(
    testTransportSettings('qmgr_message_recipient_limit = 3\ninitial_destination_concurrency = 1'),
  );
  const dead: DestinationQueue[] = [];
  for (let number = 1; number <= 5; number++) {
    addToTransport(one, testMessage(number, [`x@d${number}`]));
    const entry = one.select(number)!;
    one.failed(entry.queue, REASON, 1000 + number);
    one.release(entry.queue, number);
    dead.push(entry.queue);
  }
  assert.deepEqual(
    dead.map((queue) => queue.deadReason !== undefined),
    [false, false, true, true, true],
  );
});

test('slots that were paid for entries which were then deferred are given back', () => {
  const one = transport({
    ...SLOTS,
    destinationRecipientLimit: 2,
    initialDestinationConcurrency: 1,
    destinationConcurrencyLimit: 1,
  });
  addToTransport(one, testMessage(1, list(40, 'a')));
  const small = addToTransport(one, testMessage(2, list(6, 'b')));
  let entry = one.select(0)!;
  while (entry.message.key.sequence === 1) {
    one.release(entry.queue, 0);
    entry = one.select(0)!;
  }
  const [large] = [entry.peer.job.transport].map(() => one.select(0)!.peer.job);
  assert.equal(large?.slotsUsed, 3);
  one.failed(entry.queue, REASON, 1000);
  assert.equal(large?.slotsUsed, 1);
  assert.equal(small.jobs[0]?.listed, false);
});

// ---- any course of events ----

interface Model {
  readonly transport: Transport;
  readonly waiting: Set<Entry>;
  readonly underWay: Set<Entry>;
  readonly ended: Map<string, number>;
  now: number;
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        what: fc.constant('admit' as const),
        hops: fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }),
      }),
    },
    { weight: 6, arbitrary: fc.record({ what: fc.constant('select' as const) }) },
    { weight: 4, arbitrary: fc.record({ what: fc.constant('end' as const), which: fc.nat(20), good: fc.boolean() }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('wait' as const), time: fc.nat(1500) }) },
  ),
  { maxLength: 120 },
);
const settings = fc.record({
  processLimit: fc.integer({ min: 1, max: 6 }),
  destinationConcurrencyLimit: fc.nat(4),
  initialDestinationConcurrency: fc.integer({ min: 1, max: 4 }),
  failedCohortLimit: fc.nat(2),
  destinationRecipientLimit: fc.nat(3),
  destinationRateDelayMs: fc.constantFrom(0, 0, 0, 700),
  transportRateDelayMs: fc.constantFrom(0, 0, 0, 300),
  deliverySlotCost: fc.nat(4),
  deliverySlotLoan: fc.nat(3),
  deliverySlotDiscount: fc.constantFrom(0, 50, 100),
  minimumDeliverySlots: fc.nat(4),
});

const entryKey = (entry: Entry): string =>
  `${entry.message.key.sequence}:${entry.recipients.map(({ offset }) => offset).join()}`;

function end(model: Model, entry: Entry): void {
  const key = entryKey(entry);
  model.ended.set(key, (model.ended.get(key) ?? 0) + 1);
  model.transport.done(entry);
}

function finish(model: Model, entry: Entry, good: boolean): void {
  model.underWay.delete(entry);
  if (good) model.transport.succeeded(entry.queue);
  else for (const drained of model.transport.failed(entry.queue, REASON, model.now + 1000)) end(model, drained);
  model.transport.release(entry.queue, model.now);
  end(model, entry);
}

function select(model: Model): Entry | undefined {
  const { transport: one, now } = model;
  const entry = one.select(now);
  if (entry === undefined) return undefined;
  const { processLimit, destinationConcurrencyLimit: limit } = one.settings;
  assert.ok(one.busy <= processLimit);
  assert.ok(entry.queue.busy <= entry.queue.window.size);
  assert.ok(limit === 0 || entry.queue.busy <= limit);
  assert.equal(entry.queue.suspension, undefined);
  model.underWay.add(entry);
  assert.equal(one.busy, model.underWay.size);
  return entry;
}

test('whatever happens, limits hold and every entry ends exactly once', () => {
  fc.assert(
    fc.property(settings, steps, (overrides, course) => {
      const delayed = {
        ...overrides,
        processLimit: overrides.transportRateDelayMs > 0 ? 1 : overrides.processLimit,
        destinationConcurrencyLimit: overrides.destinationRateDelayMs > 0 ? 1 : overrides.destinationConcurrencyLimit,
      };
      const model: Model = {
        transport: transport(delayed),
        waiting: new Set(),
        underWay: new Set(),
        ended: new Map(),
        now: 0,
      };
      let admitted = 0;
      let recipients = 0;
      for (const step of course) {
        if (step.what === 'admit') {
          const addresses = step.hops.map((hop, at) => `u${at}@h${hop}`);
          const work = addToTransport(model.transport, testMessage(++admitted, addresses), model.now);
          recipients += addresses.length;
          for (const { peers } of work.jobs)
            for (const { queue } of peers)
              if (queue.deadReason !== undefined)
                for (const drained of model.transport.drain(queue)) end(model, drained);
        } else if (step.what === 'select') {
          select(model);
        } else if (step.what === 'wait') {
          model.now += step.time;
          model.transport.tick(model.now);
        } else {
          const entry = [...model.underWay][step.which];
          if (entry !== undefined) finish(model, entry, step.good);
        }
      }
      // Nothing fails from here on: all that is left is delivered.
      for (let rounds = 0; rounds < 5000; rounds++) {
        model.now += 100;
        model.transport.tick(model.now);
        while (select(model) !== undefined);
        for (const entry of [...model.underWay]) finish(model, entry, true);
        if (model.transport.inMemory === 0) break;
      }
      assert.equal(model.transport.inMemory, 0);
      assert.equal(model.transport.busy, 0);
      assert.ok([...model.ended.values()].every((times) => times === 1));
      const offsets = [...model.ended.keys()].flatMap((key) => key.slice(key.indexOf(':') + 1).split(','));
      assert.equal(offsets.length, recipients);
    }),
    { numRuns: 500 },
  );
});

test('preemption never delays a message by more than the slots that it gathers, and what is ahead of it without', () => {
  fc.assert(
    fc.property(
      fc.record({
        deliverySlotCost: fc.integer({ min: 2, max: 6 }),
        deliverySlotLoan: fc.nat(3),
        deliverySlotDiscount: fc.constantFrom(0, 50, 100),
        minimumDeliverySlots: fc.nat(3),
      }),
      fc.array(fc.record({ entries: fc.integer({ min: 1, max: 40 }), after: fc.nat(5) }), {
        minLength: 1,
        maxLength: 40,
      }),
      (overrides, messages) => {
        const one = transport({ ...overrides, destinationRecipientLimit: 2, processLimit: 1 });
        const order: number[] = [];
        const deliver = (): boolean => {
          const entry = one.select(order.length);
          if (entry === undefined) return false;
          order.push(entry.message.key.sequence);
          one.release(entry.queue, order.length);
          return true;
        };
        for (const [at, { entries, after }] of messages.entries()) {
          addToTransport(one, testMessage(at, list(entries * 2)), order.length);
          for (let step = 0; step < after; step++) deliver();
        }
        while (deliver());
        for (const [at, { entries }] of messages.entries()) {
          const last = order.lastIndexOf(at);
          // Of later messages, all that went ahead of this one or of those before it.
          const owed = messages.slice(0, at + 1).reduce((sum, message) => sum + message.entries, 0);
          const later = order.slice(0, last).filter((number) => number > at).length;
          assert.ok(later <= owed / (overrides.deliverySlotCost - 1), `${later} of ${owed} for ${entries}: ${order}`);
        }
      },
    ),
  );
});

test('without preemption messages for one destination are delivered in the order in which they came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 30 }), (sizes) => {
      const one = transport({ deliverySlotCost: 0, destinationRecipientLimit: 1 });
      for (const [at, size] of sizes.entries())
        addToTransport(
          one,
          testMessage(
            at,
            Array.from({ length: size }, () => 'x@a'),
          ),
        );
      const order = deliverAll(one);
      assert.deepEqual(
        order,
        sizes.flatMap((size, at) => Array.from({ length: size }, () => at)),
      );
    }),
  );
});
