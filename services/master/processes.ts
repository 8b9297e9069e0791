/**
 * Each service of an instance a process of its own; they find each other's sockets by name. A reload starts processes for
 * entries that are new, ends those of entries that are gone, and has the others open the next configuration; only when all
 * of them have, and all that are new have started, does it come into force. Where one refuses, all keep the one before.
 */
import { join } from 'node:path';
import type { MasterEntry } from '../../lib/config/master-cf.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { LAST_WORDS } from '../../lib/server/host.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { Child, type ChildOptions, TRIES_AT_START } from './child.ts';
import { SERVICE_PID_FILE } from './leftover.ts';
import { plan } from './plan.ts';
import { ServiceControl } from './service-control.ts';
import type { Shape, ShapeOptions } from './shape.ts';

/** A child that ends with one of these before it has started does so because of its configuration or a port: the start has failed. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([EX.USAGE, EX.OSERR, EX.CONFIG]);
/** What ends the start of an instance; an entry that a reload adds is tried for ever. */
const AT_START = { finalStatuses: FINAL_STATUSES, triesAtStart: TRIES_AT_START };
/** Milliseconds for a service to open another configuration, and for one that is added to start. */
const ANSWER_LIMIT = 15_000;
const START_LIMIT = 60_000;
/** Milliseconds that a process has beyond the time that its services may take. */
const MARGIN = 5000;

const serviceOf = ({ name, type }: MasterEntry): string => `${name}/${type}`;
/** An entry with another daemon is another process. */
const keyOf = ({ name, type, command }: MasterEntry): string => `${name}/${type} ${command}`;

interface Service {
  readonly key: string;
  readonly name: string;
  /** "NAME/TYPE" */
  readonly service: string;
  readonly child: Child;
  /** Its place among the ports for health and metrics. */
  readonly index: number;
  readonly ingress: boolean;
  /** The channel to its process; undefined before the first one runs. */
  readonly control: () => ServiceControl | undefined;
  /** The channel to the first one, as soon as it runs. */
  readonly first: Promise<ServiceControl>;
  /** Resolves when one of its processes has started. */
  readonly started: Promise<void>;
}

export class Processes implements Shape {
  readonly warnings: readonly string[];
  readonly failed: Promise<never>;
  readonly #options: ShapeOptions;
  readonly #fail: (error: unknown) => void;
  readonly #services = new Map<string, Service>();
  /** Processes of entries that a reload took out, while they drain, by NAME/TYPE. */
  readonly #leaving = new Map<string, Promise<void>>();

  private constructor(options: ShapeOptions, warnings: readonly string[]) {
    this.#options = options;
    this.warnings = warnings;
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    this.#fail = reject;
    promise.catch(() => undefined);
  }

  /** Resolves when all have started; rejects with FatalError, and ends those that run, where one cannot. */
  static async start(
    options: ShapeOptions,
    configuration: Configuration,
    parameters: ReadonlyMap<string, string>,
  ): Promise<Processes> {
    const { signal } = options;
    const { main, warnings } = plan(configuration, new Set(options.services.keys()), false);
    const processes = new Processes(options, warnings);
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    );
    try {
      signal.throwIfAborted();
      const begun = main.map((entry) => processes.#startOne(entry, configuration, parameters, AT_START));
      const started = Promise.all(begun.map((service) => within(START_LIMIT, service.started, `${service.name}: `)));
      await Promise.race([started, processes.failed, aborted]);
    } catch (error) {
      await processes[Symbol.asyncDispose]();
      throw error;
    }
    return processes;
  }

  get children(): ReadonlyMap<string, Child> {
    return new Map([...this.#services.values()].map(({ name, child }) => [name, child]));
  }

  #startOne(
    entry: MasterEntry,
    configuration: Configuration,
    parameters: ReadonlyMap<string, string>,
    limits: Pick<ChildOptions, 'finalStatuses' | 'triesAtStart'>,
  ): Service {
    const { configDirectory, instance, log, serviceCommand } = this.#options;
    const [command = process.execPath, ...args] = serviceCommand;
    const taken = new Set([...this.#services.values()].map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index += 1;
    const environment: Record<string, string> = { MAIL_CONFIG: configDirectory };
    for (const [name, value] of parameters) environment[name.toUpperCase()] = value;
    const pidFile = `${entry.name.replaceAll('/', '_')}.${entry.type}${SERVICE_PID_FILE}`;
    const service = serviceOf(entry);
    let control: ServiceControl | undefined;
    const first = Promise.withResolvers<ServiceControl>();
    const name = entry.type === 'inet' ? `${entry.name}/inet` : entry.name;
    const begun = Promise.withResolvers<void>();
    const child = new Child({
      name,
      command,
      arguments: [...args, entry.command, '--service', service],
      environment: {
        ...environment,
        POSTFLEET_HTTP_LISTEN: httpListen(configuration, index),
        // When they are told to end, those that clients connect to have ended, and nobody else calls them.
        ...(isIngress(entry) ? {} : { POSTFLEET_SHUTDOWN_DELAY: '0' }),
      },
      grace: endLimit(configuration),
      log,
      ...limits,
      onChannel: (process) => {
        control = new ServiceControl(process);
        first.resolve(control);
        // One that ends before is started again.
        control.started.then(begun.resolve, () => undefined);
      },
      pidFile: join(instance.runDirectory, pidFile),
    });
    child.failed.catch(this.#fail);
    void begun.promise.then(() => child.hasStarted());
    const key = keyOf(entry);
    const started = {
      key,
      name,
      service,
      child,
      index,
      ingress: isIngress(entry),
      control: () => control,
      first: first.promise,
      started: begun.promise,
    };
    this.#services.set(key, started);
    return started;
  }

  async reload(configuration: Configuration, parameters: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const { main, warnings } = plan(configuration, new Set(this.#options.services.keys()), false);
    const wanted = new Map(main.map((entry) => [keyOf(entry), entry]));
    const staying = [...this.#services].flatMap(([key, service]) => (wanted.has(key) ? [service] : []));
    const added = main.filter((entry) => !this.#services.has(keyOf(entry)));
    const early = added.filter((entry) => !this.#waitsForOthers(entry, wanted));
    const begun = early.map((entry) => this.#startOne(entry, configuration, parameters, {}));
    await this.#prepare(staying, begun);
    await Promise.allSettled(staying.map(({ control }) => control()?.ask('commit', ANSWER_LIMIT)));
    for (const [key, service] of [...this.#services]) {
      if (!wanted.has(key)) void this.#end(key, service);
    }
    for (const entry of added) {
      if (early.includes(entry)) continue;
      await this.#leaving.get(serviceOf(entry));
      // One that does not start keeps the others from nothing.
      this.#startOne(entry, configuration, parameters, {});
    }
    return warnings;
  }

  /** With another daemon, or on a port that another entry gives up, it can listen only when the one before has ended. */
  #waitsForOthers(entry: MasterEntry, wanted: ReadonlyMap<string, MasterEntry>): boolean {
    const present = [...this.#services.values()];
    if (this.#leaving.has(serviceOf(entry)) || present.some(({ service }) => service === serviceOf(entry))) return true;
    return entry.type === 'inet' && present.some(({ key, service }) => !wanted.has(key) && service.endsWith('/inet'));
  }

  /**
   * Resolves when all that stay have opened the configuration and all that come have started. Throws FatalError, which says
   * who refuses and why, when everything is as it was.
   */
  async #prepare(staying: readonly Service[], begun: readonly Service[]): Promise<void> {
    const services = [...staying, ...begun];
    const outcomes = await Promise.allSettled([
      ...staying.map(({ control }) => control()?.ask('prepare', ANSWER_LIMIT)),
      ...begun.map(async ({ first }) => within(START_LIMIT, (await first).started)),
    ]);
    const refusals = new Map<string, string[]>();
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled') continue;
      const reason = outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason);
      refusals.set(reason, [...(refusals.get(reason) ?? []), services[at]!.name]);
    }
    if (refusals.size === 0) return;
    await Promise.allSettled([
      ...staying.map(({ control }) => control()?.ask('take-back', ANSWER_LIMIT)),
      ...begun.map((service) => this.#end(service.key, service)),
    ]);
    throw new FatalError([...refusals].map(([reason, names]) => `${names.join(', ')}: ${reason}`).join('; '));
  }

  #end(key: string, { child, service }: Service): Promise<void> {
    this.#services.delete(key);
    const ended = child[Symbol.asyncDispose]().finally(() => {
      if (this.#leaving.get(service) === ended) this.#leaving.delete(service);
    });
    this.#leaving.set(service, ended);
    return ended;
  }

  async abort(): Promise<void> {
    await Promise.all([...this.#services.values()].map(({ child }) => child.abort()));
  }

  /** Who takes mail in ends first, the delivery agents last. */
  async [Symbol.asyncDispose](): Promise<void> {
    const services = [...this.#services.values()].reverse();
    const end = ({ child }: Service): Promise<void> => child[Symbol.asyncDispose]();
    await Promise.all(services.filter(({ ingress }) => ingress).map(end));
    for (const service of services.filter(({ ingress }) => !ingress)) await end(service);
    await Promise.all(this.#leaving.values());
  }
}

/** Clients connect to it. */
const isIngress = ({ type }: MasterEntry): boolean => type === 'inet';

/** Milliseconds after which a process that was told to end is killed. */
function endLimit(configuration: Configuration): number {
  const seconds = configuration.seconds('postfleet_shutdown_delay') + configuration.seconds('postfleet_shutdown_grace');
  return seconds * 1000 + LAST_WORDS + MARGIN;
}

/** Rejects with FatalError, whose text begins with `what`, when it takes longer than `limit` milliseconds. */
async function within(limit: number, work: Promise<void>, what = ''): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new FatalError(`${what}not started within ${limit / 1000} seconds`)),
    limit,
  );
  // Work that was given up for another reason holds up no end.
  timer.unref();
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** host:port for health and metrics of the process with that index; empty for none. */
export function httpListen(configuration: Configuration, index: number): string {
  const http = configuration.text('postfleet_http_listen');
  const colon = http.lastIndexOf(':');
  return http === '' ? '' : `${http.slice(0, colon)}:${Number(http.slice(colon + 1)) + index}`;
}
