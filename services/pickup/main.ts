/**
 * pickup(8): takes what local users have posted (sendmail(1), postdrop(1)) from the JetStream stream MAILDROP and feeds it to
 * cleanup(8). Any number of replicas share the stream.
 *
 * Logs `QUEUEID: uid=1000 from=<user>` for each message. What cleanup refuses for good is reported to the sender by a
 * notice; entries that cannot be read are logged and set aside in stream MAILDROP_CORRUPT.
 *
 * Streams and consumer are made where they are missing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceContext } from '../../lib/server/context.ts';
import { queueWorker } from '../../lib/server/queue-worker.ts';
import { Maildrop } from './maildrop.ts';
import { Pickup } from './pickup.ts';
import { PICKUP_PARAMETERS, readSettings } from './settings.ts';

/** Messages that are handed on at once: each waits for a disk, not for us. */
const CONCURRENCY = 32;
const SWEEP_INTERVAL = 3_600_000;
const PAUSE_AFTER_ERROR = 1000;

class PickupWorker implements AsyncDisposable {
  readonly #context: ServiceContext;
  readonly #maildrop: Maildrop;
  readonly #pickup: Pickup;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  readonly #sweeper: NodeJS.Timeout;
  #consuming = false;

  constructor(context: ServiceContext, maildrop: Maildrop, pickup: Pickup) {
    this.#context = context;
    this.#maildrop = maildrop;
    this.#pickup = pickup;
    this.#running = this.#run();
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP_INTERVAL);
  }

  ready(): boolean {
    return this.#consuming;
  }

  /** Works the stream until the service drains; where NATS breaks off, from the beginning again. */
  async #run(): Promise<void> {
    const stop = AbortSignal.any([this.#context.draining, this.#stopping.signal]);
    while (!stop.aborted) {
      try {
        await this.#consume(stop);
      } catch (error) {
        if (!stop.aborted) this.#context.log.warning(`maildrop: ${describe(error)}`);
      }
      this.#consuming = false;
      if (!stop.aborted) await sleep(PAUSE_AFTER_ERROR, undefined, { signal: stop }).catch(() => undefined);
    }
  }

  async #consume(stop: AbortSignal): Promise<void> {
    const messages = await this.#maildrop.entries();
    const close = (): void => messages.stop();
    stop.addEventListener('abort', close, { once: true });
    if (stop.aborted) close();
    this.#consuming = true;
    try {
      for await (const message of messages) {
        if (stop.aborted) {
          message.nak();
          continue;
        }
        while (this.#underWay.size >= CONCURRENCY) await Promise.race(this.#underWay);
        const work = this.#pickup
          .handle(message)
          .catch((error: unknown) => this.#context.log.warning(`maildrop entry ${message.seq}: ${describe(error)}`))
          .finally(() => this.#underWay.delete(work));
        this.#underWay.add(work);
      }
    } finally {
      stop.removeEventListener('abort', close);
    }
  }

  async #sweep(): Promise<void> {
    try {
      const swept = await this.#maildrop.sweep();
      if (swept > 0) this.#context.log.info(`maildrop: removed ${swept} uploads that were broken off`);
    } catch (error) {
      this.#context.log.warning(`maildrop: cannot remove uploads that were broken off: ${describe(error)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    this.#stopping.abort();
    await this.#running;
    await Promise.all(this.#underWay);
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export const service = queueWorker({
  name: 'pickup',
  parameters: PICKUP_PARAMETERS,
  async open(context) {
    const settings = readSettings(context.configuration);
    const maildrop = await Maildrop.open(await context.stores.nats(), settings.replicas);
    const worker = new PickupWorker(context, maildrop, new Pickup(context, settings, maildrop));
    return { ready: () => worker.ready(), [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
  },
});
