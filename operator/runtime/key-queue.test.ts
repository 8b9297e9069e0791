import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { Backoff } from './backoff.ts';
import { KeyQueue } from './key-queue.ts';

interface Trace {
  readonly queue: KeyQueue;
  /** Keys in the order in which their work began. */
  readonly begun: string[];
  readonly failures: string[];
  /** Lets the oldest piece of work that is under way end. */
  end(result?: number | Error): void;
  /** Waits until so many pieces of work have begun. */
  until(count: number): Promise<void>;
}

function trace(context: TestContext, concurrency = 2): Trace {
  const abort = new AbortController();
  context.after(() => abort.abort());
  const begun: string[] = [];
  const failures: string[] = [];
  const underWay: PromiseWithResolvers<number | undefined>[] = [];
  const queue = new KeyQueue({
    concurrency,
    signal: abort.signal,
    newBackoff: () => new Backoff({ firstMs: 1, maximumMs: 2 }),
    failed: (key) => void failures.push(key),
    work: (key) => {
      begun.push(key);
      const work = Promise.withResolvers<number | undefined>();
      underWay.push(work);
      return work.promise;
    },
  });
  queue.start();
  return {
    queue,
    begun,
    failures,
    end(result) {
      const work = underWay.shift()!;
      if (result instanceof Error) work.reject(result);
      else work.resolve(result);
    },
    async until(count) {
      while (begun.length < count) await delay(1);
    },
  };
}

test('a key that is added twice before its work begins is worked on once', async (context) => {
  const { queue, begun, end, until } = trace(context, 1);
  for (const key of ['a', 'b', 'b', 'b']) queue.add(key);
  end();
  await until(2);
  end();
  await delay(5);
  assert.deepEqual(begun, ['a', 'b']);
});

test('a key that is added while it is worked on comes again afterwards, once', async (context) => {
  const { queue, begun, end, until } = trace(context);
  queue.add('a');
  queue.add('a');
  queue.add('a');
  assert.deepEqual(begun, ['a']);
  end();
  await until(2);
  end();
  await delay(5);
  assert.deepEqual(begun, ['a', 'a']);
});

test('different keys are worked on at once, as far as the limit allows', async (context) => {
  const { queue, begun, end, until } = trace(context, 2);
  for (const key of ['a', 'b', 'c']) queue.add(key);
  assert.deepEqual(begun, ['a', 'b']);
  end();
  await until(3);
  assert.deepEqual(begun, ['a', 'b', 'c']);
});

test('work that failed is told and comes again', async (context) => {
  const { queue, begun, failures, end, until } = trace(context);
  queue.add('a');
  end(new Error('not this time'));
  await until(2);
  assert.deepEqual([begun, failures], [['a', 'a'], ['a']]);
});

test('work that asks for it comes again after its time; of two times the earlier counts', async (context) => {
  const { queue, begun, end, until } = trace(context);
  queue.addAfter('a', 60_000);
  queue.addAfter('a', 1);
  await until(1);
  end(1);
  await until(2);
  assert.deepEqual(begun, ['a', 'a']);
});

test('nothing begins before the start, and nothing after the end', async () => {
  const abort = new AbortController();
  const begun: string[] = [];
  const queue = new KeyQueue({
    concurrency: 1,
    signal: abort.signal,
    failed: () => undefined,
    work: async (key) => void begun.push(key),
  });
  queue.add('a');
  await delay(2);
  assert.deepEqual(begun, []);
  queue.start();
  await delay(2);
  abort.abort();
  queue.add('b');
  queue.addAfter('c', 0);
  await delay(5);
  await queue.finished();
  assert.deepEqual(begun, ['a']);
});

test('whatever is added and however it ends, no key is worked on twice at the same time, and the last news is seen', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.boolean()), { maxLength: 30 }),
      async (steps) => {
        const abort = new AbortController();
        const underWay = new Set<string>();
        const news = new Map<string, number>();
        const seen = new Map<string, number>();
        let twice = false;
        const queue = new KeyQueue({
          concurrency: 2,
          signal: abort.signal,
          newBackoff: () => new Backoff({ firstMs: 1, maximumMs: 1 }),
          failed: () => undefined,
          work: async (key) => {
            if (underWay.has(key)) twice = true;
            underWay.add(key);
            const present = news.get(key)!;
            await delay(0);
            underWay.delete(key);
            if (Math.random() < 0.2) throw new Error('now and then');
            seen.set(key, present);
            return undefined;
          },
        });
        queue.start();
        for (const [key, waits] of steps) {
          news.set(key, (news.get(key) ?? 0) + 1);
          queue.add(key);
          if (waits) await delay(0);
        }
        const deadline = Date.now() + 5000;
        while ([...news].some(([key, count]) => seen.get(key) !== count) && Date.now() < deadline) await delay(1);
        abort.abort();
        await queue.finished();
        assert.equal(twice, false);
        assert.deepEqual(seen, news);
      },
    ),
    { numRuns: 25 },
  );
});

test('pauses double up to their maximum, and jitter takes at most half', () => {
  const most = new Backoff({ firstMs: 100, maximumMs: 1000, random: () => 1 });
  const least = new Backoff({ firstMs: 100, maximumMs: 1000, random: () => 0 });
  assert.deepEqual([most.next(), most.next(), most.next(), most.next(), most.next()], [100, 200, 400, 800, 1000]);
  assert.deepEqual([least.next(), least.next()], [50, 100]);
  most.reset();
  assert.equal(most.next(), 100);
});
