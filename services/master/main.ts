/**
 * master(8): reads master.cf and starts its services, in one process or as children, and the stores that they need where
 * none are named. Ends them in the reverse order.
 *
 * Logs `daemon started`, what it starts and where that listens, every child that ended by itself. Throws FatalError for
 * what keeps it from starting.
 * @see master(8), docs/master-cf.md
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { AggregatorRegistry, type MetricObject } from 'prom-client';
import type { MasterEntry } from '../../lib/config/master-cf.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { migrate } from '../../lib/queue/migrate.ts';
import { ensureStreams } from '../../lib/queue/streams.ts';
import { seenDurability } from '../../lib/server/durability.ts';
import { endpoints } from '../../lib/server/endpoints.ts';
import { ServiceHost, serviceLog } from '../../lib/server/host.ts';
import { listenHttp } from '../../lib/server/http.ts';
import { OpenStores } from '../../lib/server/open-stores.ts';
import { openTracing } from '../../lib/server/open-tracing.ts';
import { listenRpc } from '../../lib/server/rpc-listener.ts';
import type { Implementation, ServiceDefinition } from '../../lib/server/service.ts';
import { Child } from './child.ts';
import { startNats } from './embedded-nats.ts';
import { startPostgres } from './embedded-postgres.ts';
import type { Instance } from './instance.ts';
import { endServices, SERVICE_PID_FILE } from './leftover.ts';
import { plan } from './plan.ts';
import { SessionThreads } from './session-threads.ts';

export type ServiceTable = ReadonlyMap<string, () => Promise<ServiceDefinition>>;

export interface MasterOptions {
  readonly configDirectory: string;
  readonly instance: Instance;
  /** Parameters from the environment; they come over main.cf. */
  readonly environment: ReadonlyMap<string, string>;
  readonly searchPath: string;
  readonly services: ServiceTable;
  /** The file that a session thread runs. */
  readonly threadFile: URL;
  /** "one": all services in this process; "many": each a process of its own. */
  readonly shape: 'one' | 'many';
  /** The command that runs one service as a process: program and arguments before the service's name. */
  readonly serviceCommand: readonly string[];
}

/** What runs, for whoever tells the user. */
export interface Running extends AsyncDisposable {
  readonly configuration: Configuration;
  readonly smtp: readonly string[];
  readonly http: string;
  readonly natsUrl: string;
  readonly postgresUrl: string;
  readonly durability: string;
  readonly warnings: readonly string[];
  /** Pids by name, for whoever measures or kills. */
  readonly processes: () => Readonly<Record<string, number | undefined>>;
  /** Rejects when something ended that cannot be started again. */
  readonly failed: Promise<never>;
}

/** Daemons whose implementations the commands call (postqueue, postsuper, postcat, sendmail -bs). */
const CALLABLE = new Set(['showq', 'flush', 'cleanup', 'trivial-rewrite', 'bounce', 'anvil']);
/** A child with one of these ended because of its configuration: starting it again would not help. */
const FINAL_STATUSES: ReadonlySet<number> = new Set([64, 78]);

/** The parameters that this instance gives to every process of it. */
async function startStores(
  options: MasterOptions,
  configuration: Configuration,
  stack: AsyncDisposableStack,
  log: ReturnType<typeof serviceLog>,
) {
  const { instance, searchPath } = options;
  const parameters: Record<string, string> = {};
  const children: Record<string, Child> = {};
  if (configuration.text('postfleet_nats_url') === '') {
    const nats = startNats(instance, searchPath, configuration.text('postfleet_nats_sync_interval'), log);
    children['nats-server'] = stack.use(nats.child);
    parameters.postfleet_nats_url = nats.url;
    parameters.postfleet_nats_monitor_url = nats.monitorUrl;
  }
  if (configuration.text('postfleet_postgres_url') === '') {
    const postgres = await startPostgres(instance, log);
    children.postgres = stack.use(postgres.child);
    parameters.postfleet_postgres_url = postgres.url;
  }
  return { parameters, children };
}

function sessionThreadCount(configuration: Configuration): number {
  return configuration.integer('postfleet_session_threads') || Math.max(1, Math.floor(availableParallelism() / 2));
}

/** What a test or an operator sees of all threads: sums of counters and histograms. */
async function aggregated(
  host: ServiceHost,
  threads: SessionThreads | undefined,
): Promise<{ contentType: string; text: string }> {
  const own = await host.metrics.registry.getMetricsAsJSON();
  const others = threads === undefined ? [] : ((await threads.metrics()) as MetricObject[][]);
  const registry = AggregatorRegistry.aggregate([own as MetricObject[], ...others] as MetricObject[][]);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

async function startInOneProcess(
  options: MasterOptions,
  configuration: Configuration,
  parameters: ReadonlyMap<string, string>,
  stack: AsyncDisposableStack,
) {
  const { services, instance } = options;
  const tracing = await openTracing('postfleet');
  const host = stack.use(new ServiceHost({ configuration, remote: undefined, tracing }));
  const { main, threads: threadEntries, warnings } = plan(configuration.master, new Set(services.keys()), true);
  const implementations = new Map<string, Implementation>();
  const token = instance.secret('token');
  for (const entry of main) {
    const definition = await services.get(entry.command)!();
    const implementation = await host.start(entry, definition);
    implementations.set(entry.name, implementation);
    if (!CALLABLE.has(entry.command)) continue;
    stack.use(
      await listenRpc({
        address: instance.rpcAddress.replace('{service}', entry.name),
        token,
        implementation,
        log: host.log,
      }),
    );
  }
  const sessions =
    threadEntries.some((entry) => entry.type === 'inet') &&
    (await SessionThreads.start({
      file: options.threadFile,
      count: sessionThreadCount(configuration),
      configDirectory: options.configDirectory,
      parameters,
      services: threadEntries.map((entry) => `${entry.name}/${entry.type}`),
      find: (service) => implementations.get(service),
    }));
  if (sessions) stack.use(sessions);
  const threads = sessions || undefined;
  const http = configuration.text('postfleet_http_listen');
  if (http !== '') {
    stack.use(
      await listenHttp({
        listen: http,
        notReady: async () => [...(await host.notReady()), ...((await threads?.notReady()) ?? [])],
        metrics: () => aggregated(host, threads),
      }),
    );
  }
  return {
    warnings,
    failed: threads?.ended ?? new Promise<never>(() => undefined),
    children: {} as Record<string, Child>,
  };
}

/** One process for each entry; they find each other's sockets by name. */
function startProcesses(
  options: MasterOptions,
  configuration: Configuration,
  parameters: ReadonlyMap<string, string>,
  stack: AsyncDisposableStack,
  log: ReturnType<typeof serviceLog>,
) {
  const { main, warnings } = plan(configuration.master, new Set(options.services.keys()), false);
  const environment: Record<string, string> = { MAIL_CONFIG: options.configDirectory };
  for (const [name, value] of parameters) environment[name.toUpperCase()] = value;
  const [command = process.execPath, ...args] = options.serviceCommand;
  const children: Record<string, Child> = {};
  main.forEach((entry: MasterEntry, index) => {
    const http = configuration.text('postfleet_http_listen');
    const colon = http.lastIndexOf(':');
    const listen = http === '' ? '' : `${http.slice(0, colon)}:${Number(http.slice(colon + 1)) + index}`;
    const name = entry.type === 'inet' ? `${entry.name}/inet` : entry.name;
    const service = `${entry.name}/${entry.type}`;
    const pidFile = join(
      options.instance.runDirectory,
      `${entry.name.replaceAll('/', '_')}.${entry.type}${SERVICE_PID_FILE}`,
    );
    children[name] = stack.use(
      new Child({
        name,
        command,
        arguments: [...args, entry.command, '--service', service],
        environment: { ...environment, POSTFLEET_HTTP_LISTEN: listen },
        grace: 15_000,
        log,
        finalStatuses: FINAL_STATUSES,
        pidFile,
      }),
    );
  });
  return { warnings, failed: Promise.race(Object.values(children).map((child) => child.failed)), children };
}

/** Starts everything; disposing of what it returns stops everything. */
export async function startMaster(options: MasterOptions): Promise<Running> {
  const { instance, environment, shape } = options;
  let configuration = Configuration.load(options.configDirectory, { environment });
  const log = serviceLog(configuration, 'master', false);
  await using stack = new AsyncDisposableStack();
  // They have the ports, and would deliver beside the next ones.
  await endServices(instance.runDirectory);
  const stores = await startStores(options, configuration, stack, log);
  // Ports that Linux keeps for root move along with the instance's SMTP port.
  const parameters = new Map<string, string>([
    ['postfleet_port_map', `smtp=${instance.ports.smtp}`],
    ['postfleet_http_listen', `127.0.0.1:${instance.ports.http}`],
    ['postfleet_rpc_address', instance.rpcAddress],
    ['postfleet_rpc_token_file', instance.secretPath('token')],
    ['postfleet_state_directory', instance.directory],
    ...Object.entries(stores.parameters),
    ...environment,
  ]);
  instance.secret('token');
  configuration = Configuration.load(options.configDirectory, { environment: parameters });
  const { durability } = await prepareStores(configuration);
  const started =
    shape === 'one'
      ? await startInOneProcess(options, configuration, parameters, stack)
      : startProcesses(options, configuration, parameters, stack, log);
  for (const warning of [...configuration.warnings, ...started.warnings]) log.warning(warning);
  log.info(`daemon started -- version ${configuration.text('mail_version')}, configuration ${options.configDirectory}`);
  instance.announce(Object.fromEntries(parameters), options.configDirectory);
  const children = { ...stores.children, ...started.children };
  const held = stack.move();
  return {
    configuration,
    smtp: configuration.master
      .filter((entry) => entry.type === 'inet')
      .flatMap((entry) =>
        endpoints(configuration, entry).map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`),
      ),
    http: configuration.text('postfleet_http_listen'),
    natsUrl: configuration.text('postfleet_nats_url'),
    postgresUrl: configuration.text('postfleet_postgres_url'),
    durability,
    warnings: [...configuration.warnings, ...started.warnings],
    processes: () => ({
      master: process.pid,
      ...Object.fromEntries(Object.entries(children).map(([name, child]) => [name, child.pid])),
    }),
    failed: Promise.race([started.failed, ...Object.values(stores.children).map((child) => child.failed)]),
    async [Symbol.asyncDispose]() {
      await held.disposeAsync();
      instance.retract();
      log.info('stopped');
    },
  };
}

/** Makes what the services expect to find: the tables and the streams. */
export async function prepareStores(configuration: Configuration): Promise<{ durability: string }> {
  const log = serviceLog(configuration, 'master', false);
  const signal = new AbortController().signal;
  await using stores = new OpenStores(configuration, log, signal);
  for (const name of await migrate(await stores.postgres())) log.info(`database: applied ${name}`);
  const { manager } = await stores.nats();
  await ensureStreams(manager, {
    shards: configuration.integer('postfleet_shards'),
    replicas: configuration.integer('postfleet_replicas'),
    maxBytes: configuration.integer('postfleet_stream_bytes'),
  });
  return { durability: await seenDurability(configuration.text('postfleet_nats_monitor_url')) };
}
