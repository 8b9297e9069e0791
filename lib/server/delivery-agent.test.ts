import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startAgent, statusOf, testContext } from '../../test/support/delivery.ts';
import type { DeliveryReply } from '../clients/protocols.ts';
import { DeliveryStatus, Unavailable } from '../clients/protocols.ts';
import { failure, success } from '../mail/dsn.ts';
import { ContentMissing } from '../queue/content.ts';
import { type DeliveryHandler, deliveryAgent } from './delivery-agent.ts';

const content = Buffer.alloc(0);

function agentOf(deliver: DeliveryHandler['deliver']) {
  return deliveryAgent({ name: 'test', parameters: [], open: async () => ({ deliver }) });
}

test('the log line of a delivery', async () => {
  const service = agentOf(async (request, _signal, report) => {
    report.connected();
    report.connectionUse = 3;
    for (const recipient of request.recipients)
      report.sent(recipient, 'local', success('delivered', 'delivered to mailbox'));
    return report.reply();
  });
  await using agent = await startAgent(service, { mainCf: '' });
  const now = Date.now() * 1000;
  const recipients = [
    { offset: 0, address: 'b@example.org', originalAddress: 'a@example.org', dsnOriginalRecipient: '', dsnNotify: 0 },
    { offset: 1, address: 'two words@example.org', originalAddress: '', dsnOriginalRecipient: '', dsnNotify: 0 },
  ];
  await agent.deliver({ content, recipients, arrivalTime: now - 12_340_000, activeTime: now - 1_230_000 });
  assert.match(
    agent.lines[0]!,
    /^4TestQueueId: to=<b@example\.org>, orig_to=<a@example\.org>, relay=local, conn_use=3, delay=12, delays=11\/1\.2\/[\d.]+\/[\d.]+, dsn=2\.0\.0, status=sent \(delivered to mailbox\)$/,
  );
  assert.match(agent.lines[1]!, /^4TestQueueId: to=<"two words"@example\.org>, relay=local, /);
});

test('with info_log_address_format = internal addresses are logged without quotes', async () => {
  const service = agentOf(async (request, _signal, report) => {
    for (const recipient of request.recipients) report.sent(recipient, 'local', success('delivered', 'x'));
    return report.reply();
  });
  await using agent = await startAgent(service, { mainCf: 'info_log_address_format = internal' });
  await agent.deliver({ content }, 'two words@example.org');
  assert.match(agent.lines[0]!, /: to=<two words@example\.org>, /);
});

test('a request that only verifies is logged as deliverable or undeliverable', async () => {
  const service = agentOf(async (request, _signal, report) => {
    report.sent(request.recipients[0]!, 'none', success('delivered', 'x'));
    report.bounced(request.recipients[1]!, 'none', failure('failed', '5.1.1', 'y'));
    report.deferred(request.recipients[2]!, 'none', failure('delayed', '4.1.1', 'z'));
    return report.reply();
  });
  await using agent = await startAgent(service, { mainCf: '' });
  await agent.deliver({ content, traceFlags: 1 }, 'a@x', 'b@x', 'c@x');
  assert.deepEqual(
    agent.lines.map((line) => line.slice(line.indexOf('status='))),
    ['status=deliverable (x)', 'status=undeliverable (y)', 'status=undeliverable (z)'],
  );
});

test('a fault of the agent defers what has no status, and says so', async () => {
  const cases: [unknown, string, RegExp][] = [
    [
      new ContentMissing('gone'),
      '4.3.0 message content is not available',
      /^warning: .*content is not available: gone$/,
    ],
    [new Error('oops'), '4.3.0 mail system error', /^error: 4TestQueueId: delivery failed unexpectedly: Error: oops/],
  ];
  for (const [thrown, status, logged] of cases) {
    const service = agentOf(async (request, _signal, report) => {
      report.sent(request.recipients[0]!, 'none', success('delivered', 'x'));
      throw thrown;
    });
    await using agent = await startAgent(service, { mainCf: '' });
    const reply = await agent.deliver({ content }, 'a@x', 'b@x');
    assert.deepEqual(statusOf(reply), ['2.0.0 x', status]);
    assert.ok(
      agent.lines.some((line) => logged.test(line)),
      agent.lines.join('\n'),
    );
  }
});

test('a recipient that the agent forgot is deferred', async () => {
  const service = agentOf(async (_request, _signal, report) => report.reply());
  await using agent = await startAgent(service, { mainCf: '' });
  const reply = await agent.deliver({ content }, 'a@x');
  assert.equal(reply.recipients[0]!.status, DeliveryStatus.DEFERRED);
  assert.match(agent.lines[0]!, /^error: 4TestQueueId: 1 recipients were given no delivery status$/);
});

test('no more deliveries are made at once than maxproc allows; the others wait their turn', async () => {
  let atOnce = 0;
  let most = 0;
  const service = agentOf(async (request, _signal, report) => {
    most = Math.max(most, ++atOnce);
    await new Promise(setImmediate);
    atOnce--;
    for (const recipient of request.recipients) report.sent(recipient, 'none', success('delivered', 'x'));
    return report.reply();
  });
  const context = testContext({ mainCf: '', name: 'test', lines: [] });
  const running = await service.start({ ...context, processLimit: 3 });
  const request = (id: string) =>
    ({ attempt: { shard: 0, epoch: 1, id }, recipients: [], traceparent: '', queueId: id }) as never;
  await Promise.all(Array.from({ length: 20 }, (_, n) => running.implementation.delivery!.deliver(request(`a${n}`))));
  assert.equal(most, 3);
  await running[Symbol.asyncDispose]();
});

test('an owner that waited for its turn while another took the shard is refused', async () => {
  const first = Promise.withResolvers<void>();
  const delivered: string[] = [];
  const service = agentOf(async (request, _signal, report) => {
    delivered.push(request.queueId);
    if (request.queueId === 'first') await first.promise;
    return report.reply();
  });
  const context = testContext({ mainCf: '', name: 'test', lines: [] });
  const running = await service.start({ ...context, processLimit: 1 });
  const deliver = (id: string, epoch: number): Promise<DeliveryReply> =>
    running.implementation.delivery!.deliver({
      attempt: { shard: 0, epoch, id },
      recipients: [],
      traceparent: '',
      queueId: id,
    } as never);
  const replies = [deliver('first', 1), deliver('second', 1), deliver('third', 2)];
  first.resolve();
  assert.deepEqual(
    (await Promise.all(replies)).map(({ refused }) => refused),
    [false, true, false],
  );
  assert.deepEqual(delivered, ['first', 'third']);
  await running[Symbol.asyncDispose]();
});

test('when the service ends during a delivery, the outcome is unknown', async () => {
  const controller = new AbortController();
  const service = agentOf(
    (_request, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true })),
  );
  await using agent = await startAgent(service, { mainCf: '', signal: controller.signal });
  const reply = agent.deliver({ content }, 'a@x');
  controller.abort();
  await assert.rejects(reply, Unavailable);
  assert.deepEqual(agent.lines, []);
});
