import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeliveryReply, DeliveryRequest } from '../clients/protocols.ts';
import { DeliveryStatus } from '../clients/protocols.ts';
import { Attempts } from './attempts.ts';

function request(shard: number, epoch: number, id: string): DeliveryRequest {
  return { attempt: { shard, epoch, id }, recipients: [] } as unknown as DeliveryRequest;
}

function outcome(status: DeliveryStatus): DeliveryReply {
  return {
    recipients: [{ offset: 0, status, notification: undefined }],
    destinationUnavailable: undefined,
    refused: false,
  };
}

test('an owner with a lower epoch is refused, for its shard only', async () => {
  const attempts = new Attempts();
  let deliveries = 0;
  const deliver = async () => {
    deliveries++;
    return outcome(DeliveryStatus.SENT);
  };
  await attempts.run(request(1, 5, 'a'), deliver);
  assert.equal((await attempts.run(request(1, 4, 'b'), deliver)).refused, true);
  assert.equal((await attempts.run(request(2, 4, 'c'), deliver)).refused, false);
  assert.equal(deliveries, 2);
});

test('an attempt that is under way is joined by the next owner', async () => {
  const attempts = new Attempts();
  const { promise, resolve } = Promise.withResolvers<DeliveryReply>();
  const first = attempts.run(request(1, 1, 'a'), () => promise);
  const second = attempts.run(request(1, 2, 'a'), () => assert.fail('delivered twice'));
  resolve(outcome(DeliveryStatus.SENT));
  assert.equal(await first, await second);
});

test('a delivered or bounced outcome is repeated; a deferred one is tried again', async () => {
  for (const [status, expected] of [
    [DeliveryStatus.SENT, 1],
    [DeliveryStatus.BOUNCED, 1],
    [DeliveryStatus.DEFERRED, 2],
  ] as const) {
    const attempts = new Attempts();
    let deliveries = 0;
    const deliver = async () => {
      deliveries++;
      return outcome(status);
    };
    await attempts.run(request(1, 1, 'a'), deliver);
    await attempts.run(request(1, 2, 'a'), deliver);
    assert.equal(deliveries, expected);
  }
});

test('an attempt that failed in the agent is made again', async () => {
  const attempts = new Attempts();
  await assert.rejects(attempts.run(request(1, 1, 'a'), () => Promise.reject(new Error('no'))));
  assert.equal((await attempts.run(request(1, 1, 'a'), async () => outcome(DeliveryStatus.SENT))).refused, false);
});

test('outcomes are forgotten by count and by age', async () => {
  let now = 0;
  let deliveries = 0;
  const attempts = new Attempts({ limit: 2, timeLimit: 1000 }, () => now);
  const ask = async (id: string) => {
    const before = deliveries;
    await attempts.run(request(1, 1, id), async () => {
      deliveries++;
      return outcome(DeliveryStatus.SENT);
    });
    return deliveries > before ? 'made' : 'repeated';
  };
  assert.equal(await ask('a'), 'made');
  assert.equal(await ask('b'), 'made');
  assert.equal(await ask('a'), 'repeated');
  assert.equal(await ask('c'), 'made');
  assert.equal(await ask('b'), 'repeated');
  assert.equal(await ask('a'), 'made');
  now = 1000;
  assert.equal(await ask('c'), 'made');
});

test('outcomes are forgotten also when nothing comes after them', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const attempts = new Attempts({ limit: 10, timeLimit: 1000 }, () => now);
  const sent = async () => outcome(DeliveryStatus.SENT);
  await attempts.run(request(1, 1, 'a'), sent);
  now = 600;
  await attempts.run(request(1, 1, 'b'), sent);
  now = 1000;
  t.mock.timers.tick(1000);
  assert.equal(attempts.size, 1);
  now = 2000;
  t.mock.timers.tick(1000);
  assert.equal(attempts.size, 0);
});
