import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { service } from './main.ts';

const content = Buffer.alloc(0);

test('error bounces and retry defers, with the status in the nexthop or their own', async () => {
  const cases: ['error' | 'retry', string, string, DeliveryStatus][] = [
    ['error', '5.1.2 no such domain', '5.1.2 no such domain', DeliveryStatus.BOUNCED],
    ['error', 'mailbox moved', '5.0.0 mailbox moved', DeliveryStatus.BOUNCED],
    ['error', '4.1.2 later', '5.1.2 later', DeliveryStatus.BOUNCED],
    ['retry', '4.4.1 down', '4.4.1 down', DeliveryStatus.DEFERRED],
    ['retry', 'down', '4.0.0 down', DeliveryStatus.DEFERRED],
    ['retry', '5.4.1 down', '4.4.1 down', DeliveryStatus.DEFERRED],
  ];
  for (const [name, nexthop, status, outcome] of cases) {
    await using agent = await startAgent(service, { mainCf: '', name });
    const reply = await agent.deliver({ nexthop, content }, 'a@example.org', 'b@example.org');
    assert.deepEqual(statusOf(reply), [status, status]);
    assert.equal(reply.recipients[0]!.status, outcome);
    const word = outcome === DeliveryStatus.BOUNCED ? 'bounced' : 'deferred';
    assert.match(
      agent.lines[0]!,
      new RegExp(
        `^4TestQueueId: to=<a@example\\.org>, relay=none, delay=.*, dsn=${status.slice(0, 5)}, status=${word} \\(${status.slice(6)}\\)$`,
      ),
    );
  }
});

test('with soft_bounce nothing is bounced', async () => {
  await using agent = await startAgent(service, { mainCf: 'soft_bounce = yes' });
  const reply = await agent.deliver({ nexthop: '5.1.2 no', content }, 'a@example.org');
  assert.equal(reply.recipients[0]!.status, DeliveryStatus.DEFERRED);
  assert.deepEqual(statusOf(reply), ['4.1.2 no']);
  assert.match(agent.lines[0]!, /dsn=4\.1\.2, status=SOFTBOUNCE \(no\)$/);
});
