import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unavailable } from '../clients/protocols.ts';
import { LiveImplementation } from './live-implementation.ts';
import type { Implementation } from './service.ts';

/** An anvil whose answers have `count`; each call waits for `until`. */
const anvil = (count: number, until: Promise<void> = Promise.resolve()): Implementation => ({
  anvil: {
    count: async () => {
      await until;
      return [{ count, rate: 0 }];
    },
  },
});

const ask = async ({ implementation }: LiveImplementation): Promise<number | undefined> =>
  (await implementation.anvil!.count([]))[0]?.count;

test('a call that is under way is answered by the instance that got it; the next one by its successor', async () => {
  const answer = Promise.withResolvers<void>();
  const live = new LiveImplementation(anvil(1, answer.promise));
  const early = ask(live);
  let released = false;
  const idle = live.replace(anvil(2)).then(() => (released = true));
  assert.equal(await ask(live), 2);
  assert.equal(released, false);
  answer.resolve();
  assert.equal(await early, 1);
  await idle;
  assert.equal(released, true);
});

test('an instance without calls can be released at once', async () => {
  const live = new LiveImplementation(anvil(1));
  await ask(live);
  await live.replace(anvil(2));
});

test('a call that fails is over', async () => {
  const live = new LiveImplementation({ anvil: { count: () => Promise.reject(new Error('broken')) } });
  await assert.rejects(ask(live), /broken/);
  await live.replace(anvil(2));
});

test('a listing that its reader leaves is over', async () => {
  async function* list() {
    yield [];
    yield [];
  }
  const queue = { list, read: list, flush: () => assert.fail(), delete: () => assert.fail() };
  const live = new LiveImplementation({ queue } as unknown as Implementation);
  const idle: Promise<void>[] = [];
  for await (const _page of live.implementation.queue!.list({ queueId: '' })) {
    idle.push(live.replace({ queue } as unknown as Implementation));
    break;
  }
  await Promise.all(idle);
});

test('a service that was taken out is unavailable to who still knows it', async () => {
  const live = new LiveImplementation(anvil(1));
  await live.replace({});
  await assert.rejects(ask(live), Unavailable);
});
