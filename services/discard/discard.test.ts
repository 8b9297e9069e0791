import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import { startAgent, statusOf } from '../../test/support/delivery.ts';
import { service } from './main.ts';

test('all recipients are delivered to nowhere, with the reason', async () => {
  await using agent = await startAgent(service, { mainCf: '' });
  for (const [nexthop, status] of [
    ['silently', '2.0.0 silently'],
    ['2.1.5 unwanted', '2.1.5 unwanted'],
    ['5.1.5 unwanted', '2.1.5 unwanted'],
  ] as const) {
    const reply = await agent.deliver({ nexthop, content: Buffer.alloc(0) }, 'a@example.org');
    assert.equal(reply.recipients[0]!.status, DeliveryStatus.SENT);
    assert.deepEqual(statusOf(reply), [status]);
    assert.match(agent.lines.at(-1)!, /relay=none, .* status=sent \((silently|unwanted)\)$/);
  }
});
