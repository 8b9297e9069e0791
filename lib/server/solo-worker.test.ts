import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testContext } from '../../test/support/delivery.ts';
import { soloWorker } from './solo-worker.ts';

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** A worker whose runs last until the test lets them go. */
async function startWorker(wakeup: number) {
  const lines: string[] = [];
  const runs: PromiseWithResolvers<void>[] = [];
  let wake = (): void => undefined;
  const definition = soloWorker({
    name: 'solo',
    parameters: [],
    wakeup: () => wakeup,
    async open(_context, wakeUp) {
      wake = wakeUp;
      return {
        work() {
          runs.push(Promise.withResolvers<void>());
          return runs.at(-1)!.promise;
        },
      };
    },
  });
  const draining = new AbortController();
  const context = { ...testContext({ name: 'solo', lines, mainCf: '' }), draining: draining.signal };
  const running = await definition.start(context);
  return { lines, runs, draining, running, wake: () => wake() };
}

test('work is done once at the start; any number of wake-ups during a run make one more', async () => {
  const { runs, wake, running } = await startWorker(0);
  await until(() => runs.length === 1);
  wake();
  wake();
  runs[0]!.resolve();
  await until(() => runs.length === 2);
  runs[1]!.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(runs.length, 2);
  wake();
  await until(() => runs.length === 3);
  runs[2]!.resolve();
  await running[Symbol.asyncDispose]();
});

test('the timer wakes it, and an error is logged and does not end it', async () => {
  const { runs, lines, running } = await startWorker(0.01);
  await until(() => runs.length === 1);
  runs[0]!.reject(new Error('a mishap'));
  await until(() => runs.length === 2);
  assert.match(lines[0]!, /^error: Error: a mishap/);
  runs[1]!.resolve();
  await running[Symbol.asyncDispose]();
});

test('a drain lets the run end and begins no other', async () => {
  const { runs, wake, draining, running } = await startWorker(0);
  await until(() => runs.length === 1);
  draining.abort();
  wake();
  assert.equal(await running.ready(), false);
  let disposed = false;
  const disposal = running[Symbol.asyncDispose]().then(() => {
    disposed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(disposed, false);
  runs[0]!.resolve();
  await disposal;
  assert.equal(runs.length, 1);
});
