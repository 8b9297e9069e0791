/**
 * A process, or a thread, that runs services: it makes each one's context from its master.cf entry, starts them, answers
 * their calls, reloads and drains them.
 *
 * Ending: from the first moment /readyz says that the process is not ready. What works the queue is told at once, so that
 * others can take its shards; what is called or connected to goes on for postfleet_shutdown_delay, for whoever sends clients
 * hears of it late. Then `draining` tells a service to take nothing new; each is released, the last one started first. When
 * postfleet_shutdown_grace is over, `closing` ends what is between two commands, and seconds later `signal` everything.
 *
 * Reloading: every service is opened a second time with the next configuration; only when all of them have been opened do
 * calls and connections go to the new instances. The old ones finish what is under way, with the settings that it began
 * with. Where one cannot be opened, those that were are released, and everything stays as it was.
 *
 * Logs what goes wrong while a service is released.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Registry, type RemoteTransport } from '../clients/registry.ts';
import type { MasterEntry } from '../config/master-cf.ts';
import type { Configuration } from '../config/settings.ts';
import { createContentReader } from '../queue/content.ts';
import { createEntryReader } from '../queue/entry-reader.ts';
import { WrittenFrames } from '../queue/written-frames.ts';
import { EX, FatalError } from '../util/errors.ts';
import { createLog, type Log } from '../util/log.ts';
import { sweepWhenIdle } from '../util/sweep.ts';
import { Attempts } from './attempts.ts';
import type { ServiceContext } from './context.ts';
import { endpoints } from './endpoints.ts';
import { Listeners } from './listeners.ts';
import { kindsOf, LiveImplementation } from './live-implementation.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { OpenStores } from './open-stores.ts';
import type { Implementation, RunningService, ServiceDefinition } from './service.ts';
import type { ListeningContext } from './tcp-server.ts';
import type { Tracing } from './tracing.ts';

/** Commands of master.cf whose services deliver mail. */
export const DELIVERY_AGENTS: ReadonlySet<string> = new Set([
  'smtp',
  'lmtp',
  'local',
  'virtual',
  'pipe',
  'error',
  'discard',
]);

/** The log of a daemon: `syslog_name/command`, as Postfix names its programs. */
export function serviceLog(configuration: Configuration, command: string, verbose: boolean): Log {
  const format = configuration.text('postfleet_log_format') === 'json' ? 'json' : 'postfix';
  return createLog({ program: `${configuration.text('syslog_name')}/${command}`, format, verbose });
}

export interface HostOptions {
  readonly configuration: Configuration;
  readonly remote: RemoteTransport | undefined;
  readonly tracing: Tracing;
  /** Listen with SO_REUSEPORT: several threads share the port. */
  readonly reusePort?: boolean;
  /** Milliseconds in the place of postfleet_shutdown_delay. */
  readonly shutdownDelay?: number;
  /** Makes a service callable from outside the process, for as long as it runs. */
  readonly expose?: (entry: MasterEntry, implementation: Implementation) => Promise<AsyncDisposable | undefined>;
}

/** An entry of master.cf and the service that it names. */
export interface ServiceToRun {
  readonly entry: MasterEntry;
  readonly definition: ServiceDefinition;
}

/** Services that have been opened for a reload and wait for the word. Disposing before `commit` takes them back. */
export interface PreparedReload extends AsyncDisposable {
  commit(): void;
}

/** Milliseconds from `closing` to `signal`: answers to commands that are under way arrive in them. */
export const LAST_WORDS = 3000;
/** Milliseconds for which sessions and deliveries go on after a reload: as long as Postfix's daemon_timeout lets them. */
const RELOAD_GRACE = 18_000_000;

/** What stays the same while instances of a service follow each other. */
interface Place {
  readonly live: LiveImplementation;
  readonly exposed: AsyncDisposable | undefined;
  readonly attempts: Attempts;
}

/** One service, running under one configuration. */
interface Instance extends ServiceToRun {
  readonly key: string;
  readonly configuration: Configuration;
  readonly service: RunningService;
  readonly place: Place;
  readonly draining: AbortController;
  readonly closing: AbortController;
  readonly end: AbortController;
}

/** Nobody calls it or connects to it: it works a queue by itself. */
const isWorker = ({ definition }: ServiceToRun): boolean =>
  definition.skeleton === 'queueWorker' || definition.skeleton === 'soloWorker';

/** Ends all that the instances have under way when `grace` milliseconds are over; call what it returns when nothing is. */
function limit(instances: () => Iterable<Instance>, grace: number): () => void {
  const timers = [
    setTimeout(() => {
      for (const { closing } of instances()) closing.abort();
    }, grace),
    setTimeout(() => {
      for (const { end } of instances()) end.abort();
    }, grace + LAST_WORDS),
  ];
  for (const timer of timers) timer.unref();
  return () => {
    for (const timer of timers) clearTimeout(timer);
  };
}

const keyOf = ({ name, type }: MasterEntry): string => `${name}/${type}`;

function transportNames(configuration: Configuration): Set<string> {
  return new Set(
    configuration.master
      .filter((entry) => entry.type === 'unix' && DELIVERY_AGENTS.has(entry.command))
      .map((entry) => entry.name),
  );
}

/** Does the entry ask for another process, or do the parameters of the service differ? */
function isChanged(old: Instance, { entry, definition }: ServiceToRun, configuration: Configuration): boolean {
  const plain = ({ fields, arguments: words }: MasterEntry): string => JSON.stringify([fields, words]);
  const before = old.configuration.ofEntry(old.entry);
  const after = configuration.ofEntry(entry);
  return (
    plain(old.entry) !== plain(entry) || definition.parameters.some((name) => before.text(name) !== after.text(name))
  );
}

/** An error of the configuration that a service found, with file and line. */
function located(error: unknown, configuration: Configuration, { name, line }: MasterEntry): unknown {
  if (!(error instanceof FatalError) || error.exitCode !== EX.CONFIG) return error;
  const { directory } = configuration;
  if (error.message.startsWith(`${directory}/`)) return error;
  const ofEntry = `${directory}/master.cf, line ${line}: service ${name}: ${error.message}`;
  return new FatalError(configuration.located(error.message) ?? ofEntry, { cause: error });
}

export class ServiceHost implements AsyncDisposable {
  readonly metrics: Metrics = createMetrics();
  readonly clients: Registry;
  readonly stores: OpenStores;
  readonly written = new WrittenFrames();
  readonly log: Log;
  readonly #options: HostOptions;
  readonly #listeners = new Listeners();
  /** Aborted at the end: stores that were never reached are waited for no longer. */
  readonly #opening = new AbortController();
  #withdrawn = false;
  /** Instances of earlier configurations that finish what they began, and when they have. */
  readonly #retiring = new Map<Instance, Promise<void>>();
  #configuration: Configuration;
  #transports: ReadonlySet<string>;
  /** In the order of their start. */
  #running = new Map<string, Instance>();

  constructor(options: HostOptions) {
    this.#options = options;
    const { configuration, remote } = options;
    this.#configuration = configuration;
    this.#transports = transportNames(configuration);
    this.clients = new Registry({ remote, isTransport: (name) => this.#transports.has(name) });
    this.log = serviceLog(configuration, 'master', false);
    this.stores = new OpenStores(configuration, this.log, this.#opening.signal);
    sweepWhenIdle(this.#opening.signal);
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  #context(
    configuration: Configuration,
    entry: MasterEntry,
    instance: Omit<Instance, 'service' | 'place'>,
    attempts: Attempts,
  ): ServiceContext {
    const context: ServiceContext & Partial<ListeningContext> = {
      name: entry.name,
      argv: entry.commandArguments,
      configuration,
      processLimit: (entry.maxproc ?? configuration.integer('default_process_limit')) || Number.MAX_SAFE_INTEGER,
      wakeup: entry.wakeup,
      log: serviceLog(configuration, entry.command, entry.verbose > 0),
      metrics: this.metrics,
      tracing: this.#options.tracing,
      clients: this.clients,
      stores: this.stores,
      content: createContentReader(() => this.stores.nats()),
      entries: createEntryReader(() => this.stores.nats()),
      written: this.written,
      attempts,
      draining: instance.draining.signal,
      closing: instance.closing.signal,
      signal: instance.end.signal,
      ...(entry.type === 'inet'
        ? {
            endpoints: endpoints(configuration, entry),
            reusePort: this.#options.reusePort ?? false,
            listeners: this.#listeners,
          }
        : {}),
    };
    return context;
  }

  async #open(toRun: ServiceToRun, configuration: Configuration): Promise<Instance> {
    const { entry, definition } = toRun;
    const key = keyOf(entry);
    const old = this.#running.get(key)?.place;
    const [draining, closing, end] = [new AbortController(), new AbortController(), new AbortController()];
    const bare = { ...toRun, key, configuration, draining, closing, end };
    const attempts = old?.attempts ?? new Attempts();
    const settings = configuration.ofEntry(entry);
    let service: RunningService;
    try {
      service = await definition.start(this.#context(settings, entry, bare, attempts));
    } catch (error) {
      throw located(error, settings, entry);
    }
    try {
      const place = old ?? (await this.#newPlace(entry, service, attempts));
      const [before, after] = [place.live.implementation, service.implementation].map((one) => kindsOf(one).join(' '));
      if (before !== after)
        throw new FatalError(
          `${configuration.directory}/master.cf, line ${entry.line}: service ${entry.name}: ${entry.command} answers other calls than the daemon before: restart`,
        );
      return { ...bare, service, place };
    } catch (error) {
      await this.#release({ ...bare, service });
      throw error;
    }
  }

  async #newPlace(entry: MasterEntry, service: RunningService, attempts: Attempts): Promise<Place> {
    const live = new LiveImplementation(service.implementation);
    const exposed = await this.#options.expose?.(entry, live.implementation);
    return { live, exposed, attempts };
  }

  /** Starts the service of an entry; calls of other services find it under the entry's name. */
  async start(entry: MasterEntry, definition: ServiceDefinition): Promise<void> {
    const instance = await this.#open({ entry, definition }, this.#configuration);
    this.#running.set(instance.key, instance);
    this.#register(instance);
  }

  #register({ entry, place }: Instance): void {
    const { implementation } = place.live;
    if (kindsOf(implementation).length > 0) this.clients.register(entry.name, implementation);
  }

  /**
   * Opens the services of another configuration, in their order; those that keep their state in memory, and for which
   * nothing changes, go on. Throws FatalError, and leaves everything as it is, where one cannot be opened.
   */
  async prepare(configuration: Configuration, services: readonly ServiceToRun[]): Promise<PreparedReload> {
    const next = new Map<string, Instance>();
    const opened: Instance[] = [];
    const takeBack = async (): Promise<void> => {
      for (const instance of opened.splice(0).reverse()) await this.#takeBack(instance);
    };
    try {
      for (const toRun of services) {
        const old = this.#running.get(keyOf(toRun.entry));
        const keeps =
          old !== undefined && toRun.definition.keepsState === true && !isChanged(old, toRun, configuration);
        const instance = keeps ? old : await this.#open(toRun, configuration);
        if (!keeps) opened.push(instance);
        next.set(instance.key, instance);
      }
    } catch (error) {
      await takeBack();
      throw error;
    }
    return {
      commit: () => {
        opened.length = 0;
        this.#commit(configuration, next);
      },
      [Symbol.asyncDispose]: takeBack,
    };
  }

  async #takeBack(instance: Instance): Promise<void> {
    instance.draining.abort();
    if (this.#running.get(instance.key)?.place !== instance.place)
      await instance.place.exposed?.[Symbol.asyncDispose]();
    await this.#release(instance);
  }

  #commit(configuration: Configuration, next: Map<string, Instance>): void {
    const before = this.#running;
    this.#configuration = configuration;
    this.#transports = transportNames(configuration);
    this.#running = next;
    for (const instance of next.values()) {
      const old = before.get(instance.key);
      if (old === instance) continue;
      instance.service.takeOver?.();
      if (old === undefined) this.#register(instance);
      else this.#retire(old, instance.place.live.replace(instance.service.implementation));
    }
    for (const old of before.values()) {
      if (next.has(old.key)) continue;
      this.clients.unregister(old.entry.name, old.place.live.implementation);
      const closed = Promise.resolve(old.place.exposed?.[Symbol.asyncDispose]());
      this.#retire(
        old,
        closed.then(() => old.place.live.replace({})),
      );
    }
  }

  /** Lets an instance finish; `answered` resolves when no call to it is under way. */
  #retire(instance: Instance, answered: Promise<void>): void {
    instance.draining.abort();
    const done = limit(() => [instance], RELOAD_GRACE);
    const ended = new Promise<void>((resolve) =>
      instance.end.signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    const finish = async (): Promise<void> => {
      await Promise.race([answered, ended]);
      await this.#release(instance);
      done();
      this.#retiring.delete(instance);
    };
    this.#retiring.set(instance, finish());
  }

  /** Disposes of an instance and says where that fails. */
  async #release({ entry, service, end }: Omit<Instance, 'place'>): Promise<void> {
    try {
      await service[Symbol.asyncDispose]();
    } catch (error) {
      this.log.error(`${entry.name}: while stopping: ${error instanceof Error ? error.message : String(error)}`);
    }
    end.abort();
  }

  /** What answers calls to the service of that name. */
  implementation(name: string): Implementation | undefined {
    return this.clients.local(name);
  }

  /** Names of the services that would not do their work at present. */
  async notReady(): Promise<string[]> {
    if (this.#withdrawn) return ['draining'];
    const states = await Promise.all(
      [...this.#running.values()].map(async ({ entry, service }) => ((await service.ready()) ? [] : [entry.name])),
    );
    return states.flat();
  }

  /** From here on nobody is to be sent to this process. */
  withdraw(): void {
    this.#withdrawn = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.withdraw();
    this.#opening.abort();
    const running = [...this.#running.values()];
    const workers = running.filter(isWorker);
    const others = running.filter((instance) => !isWorker(instance));
    for (const { draining } of workers) draining.abort();
    const worked = Promise.all(workers.map((instance) => this.#release(instance)));
    if (others.length > 0) await delay(this.#shutdownDelay);
    for (const { draining } of others) draining.abort();
    const grace = this.#configuration.seconds('postfleet_shutdown_grace') * 1000;
    const done = limit(() => [...running, ...this.#retiring.keys()], grace);
    await Promise.all(others.map(({ place }) => place.exposed?.[Symbol.asyncDispose]()));
    // The queue's workers need those that they call.
    await worked;
    await Promise.all(workers.map(({ place }) => place.exposed?.[Symbol.asyncDispose]()));
    for (const instance of others.reverse()) await this.#release(instance);
    await Promise.all(this.#retiring.values());
    done();
    this.#running.clear();
    await this.stores[Symbol.asyncDispose]();
    await this.#options.tracing.shutdown();
  }

  get #shutdownDelay(): number {
    return this.#options.shutdownDelay ?? this.#configuration.seconds('postfleet_shutdown_delay') * 1000;
  }
}
