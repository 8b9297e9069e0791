/**
 * All services of an instance in one process: SMTP sessions in threads of their own, everything else in the main thread.
 * The services that commands call also listen on a socket.
 */
import { availableParallelism } from 'node:os';
import { AggregatorRegistry, type MetricObject } from 'prom-client';
import type { MasterEntry } from '../../lib/config/master-cf.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { ServiceHost, type ServiceToRun } from '../../lib/server/host.ts';
import { listenHttp } from '../../lib/server/http.ts';
import { openTracing } from '../../lib/server/open-tracing.ts';
import { listenRpc } from '../../lib/server/rpc-listener.ts';
import { type Plan, plan } from './plan.ts';
import { SessionThreads } from './session-threads.ts';
import type { Shape, ShapeOptions } from './shape.ts';

/** Daemons whose implementations the commands call (postqueue, postsuper, postcat, sendmail -bs). */
const CALLABLE = new Set(['showq', 'flush', 'cleanup', 'trivial-rewrite', 'bounce', 'anvil']);

const nameOf = ({ name, type }: MasterEntry): string => `${name}/${type}`;

function sessionThreadCount(configuration: Configuration): number {
  return configuration.integer('postfleet_session_threads') || Math.max(1, Math.floor(availableParallelism() / 2));
}

export class OneProcess implements Shape {
  readonly children: Shape['children'] = new Map();
  readonly failed: Promise<never>;
  readonly #options: ShapeOptions;
  readonly #stack = new AsyncDisposableStack();
  readonly #host: ServiceHost;
  readonly #fail: (error: unknown) => void;
  #ending = false;
  #threads: SessionThreads | undefined;
  #warnings: readonly string[] = [];

  private constructor(options: ShapeOptions, host: ServiceHost) {
    this.#options = options;
    this.#host = host;
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#fail = reject;
    promise.catch(() => undefined);
  }

  static async start(
    options: ShapeOptions,
    configuration: Configuration,
    parameters: ReadonlyMap<string, string>,
  ): Promise<OneProcess> {
    const { instance } = options;
    const token = instance.secret('token');
    const host: ServiceHost = new ServiceHost({
      configuration,
      remote: undefined,
      // Whoever connects does so in the session threads, which end before this.
      shutdownDelay: 0,
      tracing: await openTracing('postfleet'),
      expose: async ({ name, command }, implementation) => {
        if (!CALLABLE.has(command)) return undefined;
        const address = instance.rpcAddress.replace('{service}', name);
        return listenRpc({ address, token, implementation, log: host.log });
      },
    });
    const shape = new OneProcess(options, host);
    try {
      await shape.#start(configuration, parameters);
    } catch (error) {
      await shape[Symbol.asyncDispose]();
      throw error;
    }
    return shape;
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  #plan(configuration: Configuration): Plan {
    return plan(configuration, new Set(this.#options.services.keys()), true);
  }

  async #start(configuration: Configuration, parameters: ReadonlyMap<string, string>): Promise<void> {
    const { signal } = this.#options;
    const { main, threads, warnings } = this.#plan(configuration);
    this.#warnings = warnings;
    const http = configuration.text('postfleet_http_listen');
    let started = false;
    // Health is the last to go: until then it says that nobody is to come.
    if (http !== '')
      this.#stack.use(
        await listenHttp({
          listen: http,
          notReady: async () => (started ? this.#notReady() : ['starting']),
          metrics: () => this.#metrics(),
        }),
      );
    this.#stack.use(this.#host);
    for (const { entry, definition } of await this.#toRun(main)) {
      signal.throwIfAborted();
      await this.#host.start(entry, definition);
    }
    signal.throwIfAborted();
    this.#stack.defer(() => this.#endThreads());
    await this.#startThreads(configuration, parameters, threads);
    signal.throwIfAborted();
    started = true;
  }

  async #notReady(): Promise<string[]> {
    return this.#ending
      ? ['draining']
      : [...(await this.#host.notReady()), ...((await this.#threads?.notReady()) ?? [])];
  }

  /** Session threads, where master.cf has anything for them to serve. */
  async #startThreads(
    configuration: Configuration,
    parameters: ReadonlyMap<string, string>,
    entries: readonly MasterEntry[],
  ): Promise<void> {
    if (!entries.some((entry) => entry.type === 'inet')) return;
    this.#threads = await SessionThreads.start({
      file: this.#options.threadFile,
      count: sessionThreadCount(configuration),
      configDirectory: this.#options.configDirectory,
      parameters,
      services: entries.map(nameOf),
      find: (service) => this.#host.implementation(service),
      written: this.#host.written,
    });
    this.#threads.ended.catch(this.#fail);
  }

  #toRun(entries: readonly MasterEntry[]): Promise<ServiceToRun[]> {
    const { services } = this.#options;
    return Promise.all(entries.map(async (entry) => ({ entry, definition: await services.get(entry.command)!() })));
  }

  /** The metrics of all threads: sums of counters and histograms. */
  async #metrics(): Promise<{ contentType: string; text: string }> {
    const own = (await this.#host.metrics.registry.getMetricsAsJSON()) as MetricObject[];
    const others = ((await this.#threads?.metrics()) ?? []) as MetricObject[][];
    const registry = AggregatorRegistry.aggregate([own, ...others]);
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  async reload(configuration: Configuration, parameters: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const { main, threads, warnings } = this.#plan(configuration);
    await using here = await this.#host.prepare(configuration, await this.#toRun(main));
    if (this.#threads === undefined) {
      await this.#startThreads(configuration, parameters, threads);
      here.commit();
      return warnings;
    }
    await using inThreads = await this.#threads.prepare(parameters, threads.map(nameOf));
    here.commit();
    await inThreads.commit();
    return warnings;
  }

  /** Nothing is left to be done: the process ends, and its threads with it. */
  async abort(): Promise<void> {}

  async #endThreads(): Promise<void> {
    const threads = this.#threads;
    await threads?.[Symbol.asyncDispose]();
    this.#threads = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    await this.#stack.disposeAsync();
  }
}
