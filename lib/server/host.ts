/**
 * A process, or a thread, that runs services: it makes each one's context from its master.cf entry, starts them, answers
 * their calls, serves health and metrics, and drains them in the reverse order.
 *
 * Draining: `draining` tells every service to take nothing new; each is then released, the last one started first, and
 * after the grace period `signal` makes them let go.
 */

import { Registry, type RemoteTransport } from '../clients/registry.ts';
import type { MasterEntry } from '../config/master-cf.ts';
import type { Configuration } from '../config/settings.ts';
import { createContentReader } from '../queue/content.ts';
import { createEntryReader } from '../queue/entry-reader.ts';
import { createLog, type Log } from '../util/log.ts';
import type { ServiceContext } from './context.ts';
import { endpoints } from './endpoints.ts';
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
  /** Milliseconds from the beginning of the drain until services must let go. */
  readonly grace?: number;
}

const DEFAULT_GRACE = 10_000;

export class ServiceHost implements AsyncDisposable {
  readonly metrics: Metrics = createMetrics();
  readonly clients: Registry;
  readonly stores: OpenStores;
  readonly log: Log;
  readonly #options: HostOptions;
  readonly #running: { name: string; service: RunningService }[] = [];
  readonly #draining = new AbortController();
  readonly #end = new AbortController();

  constructor(options: HostOptions) {
    this.#options = options;
    const { configuration, remote } = options;
    const transports = new Set(
      configuration.master
        .filter((entry) => entry.type === 'unix' && DELIVERY_AGENTS.has(entry.command))
        .map((entry) => entry.name),
    );
    this.clients = new Registry({ remote, isTransport: (name) => transports.has(name) });
    this.log = serviceLog(configuration, 'master', false);
    this.stores = new OpenStores(configuration, this.log, this.#draining.signal);
  }

  /** Aborted when the grace period of a drain is over. */
  get ended(): AbortSignal {
    return this.#end.signal;
  }

  #context(entry: MasterEntry): ServiceContext {
    const { tracing } = this.#options;
    const configuration = this.#options.configuration.ofEntry(entry);
    const context: ServiceContext & Partial<ListeningContext> = {
      name: entry.name,
      argv: entry.commandArguments,
      configuration,
      processLimit: (entry.maxproc ?? configuration.integer('default_process_limit')) || Number.MAX_SAFE_INTEGER,
      log: serviceLog(configuration, entry.command, entry.verbose > 0),
      metrics: this.metrics,
      tracing,
      clients: this.clients,
      stores: this.stores,
      content: createContentReader(() => this.stores.nats()),
      entries: createEntryReader(() => this.stores.nats()),
      draining: this.#draining.signal,
      signal: this.#end.signal,
      ...(entry.type === 'inet'
        ? { endpoints: endpoints(configuration, entry), reusePort: this.#options.reusePort ?? false }
        : {}),
    };
    return context;
  }

  /** Starts the service of an entry; calls of other services find it under the entry's name. */
  async start(entry: MasterEntry, definition: ServiceDefinition): Promise<Implementation> {
    const service = await definition.start(this.#context(entry));
    this.#running.push({ name: entry.name, service });
    this.clients.register(entry.name, service.implementation);
    return service.implementation;
  }

  /** Names of the services that would not do their work at present. */
  async notReady(): Promise<string[]> {
    if (this.#draining.signal.aborted) return ['draining'];
    const states = await Promise.all(
      this.#running.map(async ({ name, service }) => ((await service.ready()) ? [] : [name])),
    );
    return states.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#draining.abort();
    const timer = setTimeout(() => this.#end.abort(), this.#options.grace ?? DEFAULT_GRACE);
    for (const { name, service } of this.#running.splice(0).reverse()) {
      try {
        await service[Symbol.asyncDispose]();
      } catch (error) {
        this.log.error(`${name}: while stopping: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    clearTimeout(timer);
    this.#end.abort();
    await this.stores[Symbol.asyncDispose]();
    await this.#options.tracing.shutdown();
  }
}
