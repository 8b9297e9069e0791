/**
 * Each service of an instance a process of its own; they find each other's sockets by name. A reload starts processes for
 * entries that are new, ends those of entries that are gone, and tells the others to read the configuration again: what
 * goes wrong in one of them it logs itself.
 */
import { join } from 'node:path';
import type { MasterEntry } from '../../lib/config/master-cf.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { LAST_WORDS } from '../../lib/server/host.ts';
import { Child } from './child.ts';
import { SERVICE_PID_FILE } from './leftover.ts';
import { plan } from './plan.ts';
import type { Shape, ShapeOptions } from './shape.ts';

/** A child that ends with one of these at the start of the instance does so because of its configuration: the start has failed. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([64, 78]);
/** Milliseconds that a process has beyond the time that its services may take. */
const MARGIN = 5000;

/** An entry with another daemon is another process. */
const keyOf = ({ name, type, command }: MasterEntry): string => `${name}/${type} ${command}`;

interface Service {
  readonly name: string;
  /** "NAME/TYPE" */
  readonly service: string;
  readonly child: Child;
  /** Its place among the ports for health and metrics. */
  readonly index: number;
  readonly ingress: boolean;
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

  static start(
    options: ShapeOptions,
    configuration: Configuration,
    parameters: ReadonlyMap<string, string>,
  ): Processes {
    const { main, warnings } = plan(configuration, new Set(options.services.keys()), false);
    const processes = new Processes(options, warnings);
    for (const entry of main) processes.#startOne(entry, configuration, parameters, FINAL_STATUSES);
    return processes;
  }

  get children(): ReadonlyMap<string, Child> {
    return new Map([...this.#services.values()].map(({ name, child }) => [name, child]));
  }

  #startOne(
    entry: MasterEntry,
    configuration: Configuration,
    parameters: ReadonlyMap<string, string>,
    finalStatuses: ReadonlySet<number>,
  ): void {
    const { configDirectory, instance, log, serviceCommand } = this.#options;
    const [command = process.execPath, ...args] = serviceCommand;
    const taken = new Set([...this.#services.values()].map(({ index }) => index));
    let index = 0;
    while (taken.has(index)) index += 1;
    const environment: Record<string, string> = { MAIL_CONFIG: configDirectory };
    for (const [name, value] of parameters) environment[name.toUpperCase()] = value;
    const pidFile = `${entry.name.replaceAll('/', '_')}.${entry.type}${SERVICE_PID_FILE}`;
    const service = `${entry.name}/${entry.type}`;
    const name = entry.type === 'inet' ? `${entry.name}/inet` : entry.name;
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
      finalStatuses,
      pidFile: join(instance.runDirectory, pidFile),
    });
    child.failed.catch(this.#fail);
    this.#services.set(keyOf(entry), { name, service, child, index, ingress: isIngress(entry) });
  }

  async reload(configuration: Configuration, parameters: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const { main, warnings } = plan(configuration, new Set(this.#options.services.keys()), false);
    const wanted = new Map(main.map((entry) => [keyOf(entry), entry]));
    for (const [key, service] of this.#services) {
      if (wanted.has(key)) service.child.kill('SIGHUP');
      else this.#end(key, service);
    }
    for (const [key, entry] of wanted) {
      if (this.#services.has(key)) continue;
      // With another daemon it listens where the one before does.
      await this.#leaving.get(`${entry.name}/${entry.type}`);
      // One that does not start keeps the others from nothing.
      this.#startOne(entry, configuration, parameters, new Set());
    }
    return warnings;
  }

  #end(key: string, { child, service }: Service): void {
    this.#services.delete(key);
    const ended = child[Symbol.asyncDispose]().finally(() => {
      if (this.#leaving.get(service) === ended) this.#leaving.delete(service);
    });
    this.#leaving.set(service, ended);
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

/** host:port for health and metrics of the process with that index; empty for none. */
function httpListen(configuration: Configuration, index: number): string {
  const http = configuration.text('postfleet_http_listen');
  const colon = http.lastIndexOf(':');
  return http === '' ? '' : `${http.slice(0, colon)}:${Number(http.slice(colon + 1)) + index}`;
}
