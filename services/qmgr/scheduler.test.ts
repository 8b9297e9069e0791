import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { type DeliveryReply, type DeliveryRequest, DeliveryStatus } from '../../lib/clients/protocols.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { createLog } from '../../lib/util/log.ts';
import { until } from '../../test/support/until.ts';
import type { Entry } from './message.ts';
import { testAdmission, testMessage, testResolve } from './messages-for-tests.ts';
import { Scheduler, type SchedulerOptions } from './scheduler.ts';
import { transportSettings } from './settings.ts';

/** Seconds that what a test waits for may take. */
const LIMIT = 5;

const UNAVAILABLE = {
  status: '5.4.1',
  action: 'delayed',
  reason: 'connection refused',
  diagnosticType: '',
  diagnosticText: '',
  remoteMta: '',
};

function reply(request: Pick<DeliveryRequest, 'recipients'>, status: DeliveryStatus): DeliveryReply {
  return {
    refused: false,
    destinationUnavailable: undefined,
    recipients: request.recipients.map(({ offset }) => ({ offset, status, notification: undefined })),
  };
}

interface Call {
  readonly request: DeliveryRequest;
  answer(reply: DeliveryReply): void;
  fail(error: Error): void;
}

interface Harness extends Disposable {
  readonly scheduler: Scheduler;
  /** Deliveries under way. */
  readonly calls: Call[];
  /** Recipients whose outcome was written, `M1/0` each time. */
  readonly outcomes: { readonly recipient: string; readonly reply: DeliveryReply['recipients'][number] }[];
  readonly released: string[];
  readonly lines: string[];
  admit(number: number, addresses: readonly string[], attempts?: number): void;
  /** Answers all that is under way, and what begins then, until nothing does. */
  deliverAll(status?: DeliveryStatus): Promise<void>;
}

function harness(mainCf = '', overrides: Partial<SchedulerOptions> = {}): Harness {
  const abort = new AbortController();
  const configuration = Configuration.fromText(mainCf);
  const calls: Call[] = [];
  const outcomes: { recipient: string; reply: DeliveryReply['recipients'][number] }[] = [];
  const released: string[] = [];
  const lines: string[] = [];
  const scheduler: Scheduler = new Scheduler({
    activeLimit: configuration.integer('qmgr_message_active_limit'),
    activeMemory: 1_000_000,
    recipientLimit: configuration.integer('qmgr_message_recipient_limit'),
    recipientMinimum: configuration.integer('qmgr_message_recipient_minimum'),
    clogWarnMs: 300_000,
    feedbackDebug: configuration.boolean('destination_concurrency_feedback_debug'),
    log: createLog({ program: 'postfix/qmgr', format: 'postfix', write: (line) => lines.push(line) }),
    resolve: async (requests) => requests.map(({ address }) => testResolve(address)),
    transportSettings: (name) => transportSettings(configuration, name),
    agent: (name) =>
      name === 'missing'
        ? undefined
        : {
            deliver: (request) =>
              new Promise((resolve, reject) => {
                const call: Call = {
                  request,
                  answer(answered) {
                    calls.splice(calls.indexOf(call), 1);
                    resolve(answered);
                  },
                  fail(error) {
                    calls.splice(calls.indexOf(call), 1);
                    reject(error);
                  },
                };
                calls.push(call);
              }),
          },
    epoch: () => 1,
    readContent: async () => Buffer.from('y'),
    writable: () => true,
    deadTime: 60_000,
    deferTransports: new Set(configuration.list('defer_transports')),
    outcome: async (entry: Entry, answered) => {
      for (const one of answered.recipients)
        outcomes.push({ recipient: `${entry.message.envelope.queueId}/${one.offset}`, reply: one });
    },
    released: (message) => released.push(message.envelope.queueId),
    signal: abort.signal,
    ...overrides,
  });
  return {
    scheduler,
    calls,
    outcomes,
    released,
    lines,
    admit: (number, addresses, attempts) => scheduler.admit([testAdmission(testMessage(number, addresses), attempts)]),
    async deliverAll(status = DeliveryStatus.SENT) {
      for (let idle = 0; idle < 3; idle++) {
        await turn();
        while (calls.length > 0) {
          for (const call of [...calls]) call.answer(reply(call.request, status));
          await turn();
          idle = 0;
        }
      }
    },
    [Symbol.dispose]: () => abort.abort(),
  };
}

const list = (count: number, nexthop = 'example.com') => Array.from({ length: count }, (_, n) => `u${n}@${nexthop}`);

test('every recipient of every message ends once, and each message is released once, after its last', async () => {
  using h = harness('default_destination_recipient_limit = 3');
  h.admit(1, list(7));
  h.admit(2, ['a@b']);
  h.admit(3, ['a@b', 'other:x@c', 'x@c']);
  await h.deliverAll();
  assert.equal(h.outcomes.length, 11);
  assert.equal(new Set(h.outcomes.map(({ recipient }) => recipient)).size, 11);
  assert.deepEqual([...h.released].sort(), ['M1', 'M2', 'M3']);
  assert.equal(h.scheduler.active, 0);
});

test('of a message with many recipients no more are in memory than the limits say, and all are delivered', async () => {
  using h = harness(
    'qmgr_message_recipient_limit = 100\ndefault_recipient_limit = 60\ndefault_recipient_refill_limit = 20\ndefault_destination_recipient_limit = 5\nqmgr_message_recipient_minimum = 10',
  );
  const resolved: number[] = [];
  const addresses = list(1000);
  using limited = harness(
    'qmgr_message_recipient_limit = 100\ndefault_recipient_limit = 60\ndefault_recipient_refill_limit = 20\ndefault_destination_recipient_limit = 5',
    {
      resolve: async (requests) => {
        resolved.push(requests.length);
        return requests.map(({ address }) => testResolve(address));
      },
    },
  );
  limited.admit(1, addresses);
  await limited.deliverAll();
  assert.deepEqual(
    limited.outcomes.map(({ recipient }) => recipient),
    addresses.map((_, offset) => `M1/${offset}`),
  );
  assert.deepEqual(limited.released, ['M1']);
  assert.equal(
    resolved.reduce((sum, count) => sum + count, 0),
    900,
  );
  // A batch is no smaller than the refill limit while there are so many, and never more than there is room for.
  assert.ok(
    resolved.slice(0, -1).every((count) => count >= 20 && count <= 70),
    resolved.join(),
  );
  // While it fills the memory, others still come in with the minimum.
  h.admit(1, list(100));
  h.admit(2, list(50, 'other.example'));
  await turn();
  await turn();
  assert.equal(
    h.calls.filter(({ request }) => request.queueId === 'M2').flatMap(({ request }) => request.recipients).length,
    10,
  );
  await h.deliverAll();
  assert.equal(h.outcomes.length, 150);
});

test('a message with a hundred thousand recipients does not hold up later ones for the same destination', async () => {
  using h = harness('default_process_limit = 20');
  h.admit(1, list(100_000));
  for (let number = 2; number <= 6; number++) h.admit(number, ['late@example.com']);
  const order: string[] = [];
  while (order.length < 100) {
    await turn();
    for (const call of [...h.calls]) {
      order.push(call.request.queueId);
      call.answer(reply(call.request, DeliveryStatus.SENT));
    }
  }
  for (let number = 2; number <= 6; number++) assert.ok(order.includes(`M${number}`), order.join());
});

test('further recipients of an active message that become due join it', async () => {
  using h = harness();
  const message = testMessage(1, list(6));
  const [all] = [testAdmission(message)];
  h.scheduler.admit([{ message, recipients: all.recipients.slice(0, 2) }]);
  await turn();
  const again = testMessage(1, list(6));
  h.scheduler.admit([{ message: again, recipients: all.recipients.slice(2) }]);
  assert.equal(h.scheduler.active, 1);
  await h.deliverAll();
  assert.deepEqual(
    h.outcomes.map(({ recipient }) => recipient).sort(),
    list(6).map((_, offset) => `M1/${offset}`),
  );
  assert.deepEqual(h.released, ['M1']);
});

test('recipients of one message in two shards with the same epoch end each under the shard that it is in', async () => {
  const shards: string[] = [];
  using h = harness('', {
    outcome: async ({ message, recipients }) => {
      for (const { address } of recipients) shards.push(`${address} ${message.shard}`);
    },
  });
  for (const shard of [2, 3]) {
    const message = testMessage(1, ['a@one.example', 'b@two.example'], { shard });
    const { recipients } = testAdmission(message);
    h.scheduler.admit([{ message, recipients: recipients.slice(shard - 2, shard - 1) }]);
  }
  await h.deliverAll(DeliveryStatus.DEFERRED);
  assert.deepEqual(shards.sort(), ['a@one.example 2', 'b@two.example 3']);
});

test('what waits for a dead destination, and what comes for it, is deferred without an attempt', async () => {
  using h = harness('initial_destination_concurrency = 1');
  h.admit(1, ['a@b']);
  h.admit(2, ['c@b']);
  await turn();
  h.calls[0]!.answer({ ...reply(h.calls[0]!.request, DeliveryStatus.DEFERRED), destinationUnavailable: UNAVAILABLE });
  await turn();
  h.admit(3, list(5, 'b'));
  await h.deliverAll();
  assert.deepEqual(h.outcomes.map(({ recipient }) => recipient.split('/')[0]).sort(), [
    'M1',
    'M2',
    'M3',
    'M3',
    'M3',
    'M3',
    'M3',
  ]);
  const { notification } = h.outcomes.find(({ recipient }) => recipient === 'M2/0')!.reply;
  assert.equal(notification?.status, '4.4.1');
  assert.equal(notification?.reason, 'delivery temporarily suspended: connection refused');
  // After a flush it is attempted.
  h.scheduler.forgetDead();
  h.admit(4, ['a@b']);
  await turn();
  assert.equal(h.calls.length, 1);
  await h.deliverAll();
});

test('a dead destination is tried again after its time', async () => {
  using h = harness('initial_destination_concurrency = 1', { deadTime: 50 });
  h.admit(1, ['a@b']);
  await turn();
  h.calls[0]!.answer({ ...reply(h.calls[0]!.request, DeliveryStatus.DEFERRED), destinationUnavailable: UNAVAILABLE });
  await turn();
  await delay(60);
  h.admit(2, ['a@b']);
  await until('the attempt', () => h.calls.length === 1, LIMIT);
  await h.deliverAll();
});

test('an agent that is lost, or not there, says nothing of the destination; its recipients are deferred', async () => {
  using h = harness(
    'initial_destination_concurrency = 1\ndefer_transports = idle\ndestination_concurrency_feedback_debug = yes',
  );
  h.admit(1, ['a@b']);
  h.admit(2, ['missing:a@b']);
  h.admit(3, ['idle:a@b']);
  await turn();
  h.calls[0]!.fail(new Error('connection reset'));
  h.admit(4, ['a@b']);
  await until('the next attempt', () => h.calls.length === 1, LIMIT);
  assert.deepEqual(
    h.outcomes.map(({ recipient, reply: one }) => [recipient, one.status, one.notification?.reason]).sort(),
    [
      ['M1/0', DeliveryStatus.DEFERRED, 'delivery agent lost: connection reset'],
      ['M2/0', DeliveryStatus.DEFERRED, 'mail transport unavailable'],
      ['M3/0', DeliveryStatus.DEFERRED, 'deferred transport'],
    ],
  );
  assert.equal(h.lines.filter((line) => line.includes('feedback')).length, 0);
  await h.deliverAll();
  assert.match(
    h.lines.at(-1)!,
    /test:b: positive feedback: limit 20 window 2 success 0.000 failure 0.000 fail_cohorts 0.000 busy 1/,
  );
});

test('content that cannot be read, and an outcome that cannot be written, hold up neither their destination nor the end', async () => {
  let written = 0;
  using h = harness('default_destination_concurrency_limit = 1\ninitial_destination_concurrency = 1', {
    readContent: () => Promise.reject(new Error('no responders')),
    outcome: async () => {
      written++;
      if (written === 2) throw new Error('a broken invariant');
    },
  });
  for (let number = 1; number <= 3; number++) {
    const message = testMessage(number, ['a@b'], { content: undefined });
    message.envelope.contentSize = 1;
    h.scheduler.admit([testAdmission(message)]);
  }
  await until('the end of all three', () => h.released.length === 3, LIMIT);
  assert.equal(written, 3);
  assert.equal(h.scheduler.active, 0);
  await h.scheduler.drain();
  assert.equal(h.lines.length, 1);
  assert.match(h.lines[0]!, /error: M2: unexpected error: Error: a broken invariant/);
});

test('a message that is deleted, or whose shard is lost, is attempted no more, and leaves the queue', async () => {
  let epoch: number | undefined = 1;
  for (const how of ['deleted', 'lost']) {
    epoch = 1;
    using h = harness(
      'qmgr_message_recipient_limit = 40\ninitial_destination_concurrency = 1\ndefault_destination_concurrency_limit = 1\ndefault_destination_recipient_limit = 2',
      {
        epoch: () => epoch,
      },
    );
    h.admit(1, list(500));
    await turn();
    assert.equal(h.calls.length, 1);
    if (how === 'deleted') h.scheduler.forget(new Set(['M1']));
    else epoch = 2;
    h.calls[0]!.answer(reply(h.calls[0]!.request, DeliveryStatus.SENT));
    await until('the release', () => h.released.length === 1, LIMIT);
    assert.equal(h.outcomes.length, 2, 'only what was under way has an outcome');
    assert.equal(h.scheduler.active, 0);
  }
});

test('recipients that cannot be resolved at present are tried again', async () => {
  let attempts = 0;
  using h = harness('qmgr_message_recipient_limit = 1', {
    resolve: async (requests) => {
      if (++attempts === 1) throw new Error('trivial-rewrite is away');
      return requests.map(({ address }) => testResolve(address));
    },
  });
  h.admit(1, list(12));
  await h.deliverAll();
  assert.equal(h.outcomes.length, 10);
  await until('the second attempt to resolve', () => h.calls.length > 0, LIMIT);
  await h.deliverAll();
  assert.equal(h.outcomes.length, 12);
  assert.deepEqual(h.released, ['M1']);
  assert.equal(h.lines.filter((line) => line.includes('cannot resolve recipients')).length, 1);
});

test('nothing begins while outcomes cannot be written', async () => {
  let writable = false;
  using h = harness('', { writable: () => writable });
  h.admit(1, ['a@b']);
  await delay(20);
  assert.equal(h.calls.length, 0);
  writable = true;
  await until('the attempt', () => h.calls.length === 1, LIMIT);
  await h.deliverAll();
});

test('a full active queue makes newcomers wait, and names the destination that fills it', async () => {
  using h = harness('qmgr_message_active_limit = 30\ndefault_destination_concurrency_limit = 1');
  for (let number = 1; number <= 30; number++) h.admit(number, ['a@slow.example']);
  await turn();
  assert.equal(h.scheduler.room, 0);
  let came = false;
  const waiting = h.scheduler.waitForRoom(new AbortController().signal).then(() => {
    came = true;
  });
  await turn();
  assert.equal(came, false);
  assert.ok(
    h.lines.some((line) => line.includes('mail for slow.example is using up')),
    h.lines.join('\n'),
  );
  h.calls[0]!.answer(reply(h.calls[0]!.request, DeliveryStatus.SENT));
  await waiting;
  await h.deliverAll();
  const stopped = AbortSignal.abort();
  await h.scheduler.waitForRoom(stopped);
});

test('transports take turns', async () => {
  using h = harness(
    'default_process_limit = 100\ninitial_destination_concurrency = 100\ndefault_destination_concurrency_limit = 100\ndefault_destination_recipient_limit = 2',
  );
  h.admit(1, list(10));
  h.admit(
    2,
    list(10).map((address) => `other:${address}`),
  );
  await turn();
  assert.equal(
    h.calls.map(({ request }) => (request.transport === 'test' ? 't' : 'o')).join(''),
    'totototototo'.slice(0, 10),
  );
  await h.deliverAll();
});

test('whatever agents answer, every admitted recipient ends exactly once', async () => {
  const recipient = fc
    .tuple(fc.constantFrom('', 'other:'), fc.nat(4), fc.nat(3))
    .map(([transport, user, hop]) => `${transport}u${user}@h${hop}`);
  const messages = fc.array(fc.array(recipient, { minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 });
  const limits = fc.record({
    qmgr_message_recipient_limit: fc.integer({ min: 1, max: 60 }),
    qmgr_message_recipient_minimum: fc.integer({ min: 1, max: 12 }),
    default_recipient_limit: fc.nat(40),
    default_extra_recipient_limit: fc.nat(20),
    default_recipient_refill_limit: fc.integer({ min: 1, max: 20 }),
    default_destination_recipient_limit: fc.nat(5),
    default_destination_concurrency_limit: fc.nat(4),
    default_process_limit: fc.integer({ min: 1, max: 5 }),
    default_delivery_slot_cost: fc.nat(4),
    default_minimum_delivery_slots: fc.nat(2),
  });
  await fc.assert(
    fc.asyncProperty(
      limits,
      messages,
      fc.array(fc.nat(9), { minLength: 1, maxLength: 50 }),
      async (settings, addresses, answers) => {
        using h = harness(
          Object.entries(settings)
            .map(([name, value]) => `${name} = ${value}`)
            .join('\n'),
        );
        let answered = 0;
        for (const [at, each] of addresses.entries()) h.admit(at, each);
        for (let idle = 0; idle < 10; idle++) {
          await turn();
          const underWay = Map.groupBy(h.calls, ({ request }) => request.transport);
          for (const calls of underWay.values()) assert.ok(calls.length <= settings.default_process_limit);
          while (h.calls.length > 0) {
            idle = 0;
            const answer = answers[answered++ % answers.length]!;
            const call = h.calls[answer % h.calls.length]!;
            const { default_destination_recipient_limit: limit } = settings;
            assert.ok(limit === 0 || call.request.recipients.length <= limit);
            if (answer === 9) call.fail(new Error('lost'));
            else
              call.answer({
                ...reply(call.request, answer > 5 ? DeliveryStatus.DEFERRED : DeliveryStatus.SENT),
                destinationUnavailable: answer > 6 ? UNAVAILABLE : undefined,
              });
            await turn();
          }
        }
        const expected = addresses.flatMap((each, at) => each.map((_, offset) => `M${at}/${offset}`));
        assert.deepEqual(h.outcomes.map(({ recipient }) => recipient).sort(), expected.sort());
        assert.equal(h.released.length, addresses.length);
        assert.equal(h.scheduler.active, 0);
      },
    ),
    { numRuns: 150 },
  );
});
