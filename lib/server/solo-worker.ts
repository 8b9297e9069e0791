/**
 * The skeleton of services that do one thing at a time and wait in between: flush, scache, and whatever master.cf gives a
 * `wakeup` time. `work` is called once at the start, then at every wake-up by the timer or by `wake`; calls never overlap,
 * and any number of wake-ups during one make one more.
 *
 * An error of `work` is logged and the next wake-up tries again; a FatalError at the start ends the service.
 */
import type { ServiceContext } from './context.ts';
import type { RunningService, ServiceDefinition } from './service.ts';

export interface SoloTask extends Partial<AsyncDisposable> {
  /** Does what there is to do. `signal` is aborted when the service has to let go. */
  work(signal: AbortSignal): Promise<void>;
  ready?(): boolean | Promise<boolean>;
}

export interface SoloWorkerTable {
  readonly name: string;
  readonly parameters: readonly string[];
  /** Seconds between wake-ups; 0 where only `wake` does it. */
  wakeup(context: ServiceContext): number;
  /** Makes the task; `wake` asks for a run as soon as possible. Throws FatalError where it cannot. */
  open(context: ServiceContext, wake: () => void): Promise<SoloTask>;
}

export function soloWorker(table: SoloWorkerTable): ServiceDefinition {
  return {
    name: table.name,
    skeleton: 'soloWorker',
    parameters: table.parameters,
    async start(context: ServiceContext): Promise<RunningService> {
      const loop = new SoloLoop(context, table.wakeup(context) * 1000);
      const task = await table.open(context, () => loop.wake());
      const running = loop.run(task);
      return {
        implementation: {},
        ready: () => !context.draining.aborted && (task.ready?.() ?? true),
        [Symbol.asyncDispose]: async () => {
          loop.end();
          await running;
          await task[Symbol.asyncDispose]?.();
        },
      };
    },
  };
}

class SoloLoop {
  readonly #context: ServiceContext;
  readonly #interval: number;
  #ended = false;
  #woken = false;
  #wait: (() => void) | undefined;

  constructor(context: ServiceContext, interval: number) {
    this.#context = context;
    this.#interval = interval;
    context.draining.addEventListener('abort', () => this.end(), { once: true });
  }

  wake(): void {
    this.#woken = true;
    this.#wait?.();
  }

  end(): void {
    this.#ended = true;
    this.#wait?.();
  }

  async run(task: SoloTask): Promise<void> {
    const { log, signal } = this.#context;
    while (!this.#ended) {
      this.#woken = false;
      try {
        await task.work(signal);
      } catch (error) {
        if (!signal.aborted) log.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
      if (!this.#woken && !this.#ended) await this.#sleep();
    }
  }

  async #sleep(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wait = resolve;
    const timer = this.#interval > 0 ? setTimeout(resolve, this.#interval) : undefined;
    await promise;
    clearTimeout(timer);
    this.#wait = undefined;
  }
}
