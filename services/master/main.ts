/**
 * master(8): reads master.cf and starts its services, in one process or as children, and the stores that they need where
 * none are named. Ends them in the reverse order.
 *
 * Logs `daemon started`, `reload`, every child that ended by itself, and what is remarkable in main.cf and master.cf. Throws
 * FatalError, with a line for each error, for what keeps it from starting.
 * @see master(8), docs/master-cf.md
 */
import { reportOn } from '../../lib/config/check.ts';
import { Configuration } from '../../lib/config/settings.ts';
import { migrate } from '../../lib/queue/migrate.ts';
import { ensureStreams } from '../../lib/queue/streams.ts';
import { seenDurability } from '../../lib/server/durability.ts';
import { endpoints } from '../../lib/server/endpoints.ts';
import { serviceLog } from '../../lib/server/host.ts';
import { OpenStores, type Patience } from '../../lib/server/open-stores.ts';
import { FatalError } from '../../lib/util/errors.ts';
import type { Child } from './child.ts';
import { endEarlierNats, startNats } from './embedded-nats.ts';
import { endEarlierPostgres, startPostgres } from './embedded-postgres.ts';
import { type OwnStores, requireFree, wantedPorts } from './free-ports.ts';
import type { Instance } from './instance.ts';
import { endServices } from './leftover.ts';
import { OneProcess } from './one-process.ts';
import { Processes } from './processes.ts';
import { Reloader } from './reloader.ts';
import type { Shape, ShapeOptions } from './shape.ts';

export interface MasterOptions extends Omit<ShapeOptions, 'log'> {
  /** Parameters from the environment; they come over main.cf. */
  readonly environment: ReadonlyMap<string, string>;
  readonly searchPath: string;
  /** "one": all services in this process; "many": each a process of its own. */
  readonly shape: 'one' | 'many';
}

/** Milliseconds that a start waits for stores of others, which may have been started at the same moment. */
const PATIENCE = 10_000;

/** What runs, for whoever tells the user. */
export interface Running extends AsyncDisposable {
  readonly configuration: Configuration;
  readonly smtp: readonly string[];
  readonly http: string;
  readonly natsUrl: string;
  readonly postgresUrl: string;
  readonly durability: string;
  /** Pids by name, for whoever measures or kills. */
  readonly processes: () => Readonly<Record<string, number | undefined>>;
  /** Rejects when something ended that cannot be started again. */
  readonly failed: Promise<never>;
  /** Reads the configuration again; logs what keeps it from coming into force. Calls while one is under way make one more. */
  reload(): Promise<void>;
  /** Ends the services at once, as a crash would, and the stores in order. */
  abort(): Promise<void>;
}

/** The parameters that this instance gives to every process of it. */
async function startStores(
  options: MasterOptions,
  configuration: Configuration,
  own: OwnStores,
  stack: AsyncDisposableStack,
  log: ReturnType<typeof serviceLog>,
) {
  const { instance, searchPath, signal } = options;
  const parameters: Record<string, string> = {};
  const children: Record<string, Child> = {};
  if (own.nats) {
    const nats = startNats(instance, searchPath, configuration.text('postfleet_nats_sync_interval'), log);
    children['nats-server'] = stack.use(nats.child);
    parameters.postfleet_nats_url = nats.url;
    parameters.postfleet_nats_monitor_url = nats.monitorUrl;
  }
  if (own.postgres) {
    const postgres = await startPostgres(instance, log, signal);
    children.postgres = stack.use(postgres.child);
    parameters.postfleet_postgres_url = await unlessAborted(signal, postgres.ready());
  }
  return { parameters, children };
}

/** What the configuration needs to start with; throws FatalError with a line for each error in it. */
function loadChecked(directory: string, environment: ReadonlyMap<string, string>) {
  const configuration = Configuration.load(directory, { environment });
  const { errors, warnings } = reportOn(configuration);
  if (errors.length > 0) throw new FatalError(errors.join('\n'));
  return { configuration, warnings };
}

/** Rejects with the signal's reason where that is aborted first; the work is left to itself then. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } catch (error) {
    // What an abort makes of the work is no error of its own.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Ends what a master that was killed has left: it has the ports, and would deliver beside the next services. */
async function endEarlier(instance: Instance, own: OwnStores): Promise<void> {
  await endServices(instance.runDirectory);
  if (own.nats) await endEarlierNats(instance);
  if (own.postgres) await endEarlierPostgres(instance);
}

/** Does work on the stores that is of no use, and never ends, where one of them cannot be started. */
async function unlessFailed<T>(
  stores: readonly Child[],
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const failure = new AbortController();
  for (const store of stores) store.failed.catch((error: unknown) => failure.abort(error));
  const either = AbortSignal.any([signal, failure.signal]);
  return unlessAborted(either, work(either));
}

/** Starts everything; disposing of what it returns stops everything. */
export async function startMaster(options: MasterOptions): Promise<Running> {
  const { instance, environment, configDirectory, signal } = options;
  const { configuration: first, warnings } = loadChecked(configDirectory, environment);
  const log = serviceLog(first, 'master', false);
  await using stack = new AsyncDisposableStack();
  const own = { nats: first.text('postfleet_nats_url') === '', postgres: first.text('postfleet_postgres_url') === '' };
  await unlessAborted(signal, endEarlier(instance, own));
  // Ports that Linux keeps for root move along with the instance's SMTP port.
  const given: readonly (readonly [string, string])[] = [
    ['postfleet_port_map', `smtp=${instance.ports.smtp}`],
    ['postfleet_http_listen', `127.0.0.1:${instance.ports.http}`],
    ['postfleet_rpc_address', instance.rpcAddress],
    ['postfleet_rpc_token_file', instance.secretPath('token')],
    ['postfleet_state_directory', instance.directory],
    // Nobody spreads clients over the processes of one machine.
    ...(first.set('postfleet_shutdown_delay') ? [] : ([['postfleet_shutdown_delay', '0']] as const)),
  ];
  const planned = Configuration.load(configDirectory, { environment: new Map([...given, ...environment]) });
  await requireFree(wantedPorts(instance, planned, new Set(options.services.keys()), options.shape, own));
  const stores = await startStores(options, first, own, stack, log);
  const parameters = new Map([...given, ...Object.entries(stores.parameters), ...environment]);
  instance.secret('token');
  const configuration = Configuration.load(configDirectory, { environment: parameters });
  // Stores of our own are there when they have put in order what a crash left, however long that takes.
  const patience = { ...(own.nats ? {} : { nats: PATIENCE }), ...(own.postgres ? {} : { postgres: PATIENCE }) };
  const { durability } = await unlessFailed(Object.values(stores.children), signal, (either) =>
    prepareStores(configuration, patience, either),
  );
  for (const child of Object.values(stores.children)) child.hasStarted();
  const start = options.shape === 'one' ? OneProcess.start : Processes.start;
  const services: Shape = await start({ ...options, log }, configuration, parameters);
  for (const warning of [...warnings, ...services.warnings]) log.warning(warning);
  log.info(`daemon started -- version ${configuration.text('mail_version')}, configuration ${configDirectory}`);
  instance.announce(Object.fromEntries(parameters), configDirectory);
  const reloader = new Reloader(services, configuration, parameters, log);
  const storesHeld = stack.move();
  const stopped = async (): Promise<void> => {
    await storesHeld.disposeAsync();
    instance.retract();
    log.info('stopped');
  };
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
    processes: () => ({
      master: process.pid,
      ...Object.fromEntries(
        [...Object.entries(stores.children), ...services.children].map(([name, child]) => [name, child.pid]),
      ),
    }),
    failed: Promise.race([services.failed, ...Object.values(stores.children).map((child) => child.failed)]),
    reload: () => reloader.reload(),
    async abort() {
      await services.abort();
      await stopped();
    },
    async [Symbol.asyncDispose]() {
      await reloader.finished;
      await services[Symbol.asyncDispose]();
      await stopped();
    },
  };
}

/** Makes what the services expect to find: the tables and the streams. */
export async function prepareStores(
  configuration: Configuration,
  patience: Patience = {},
  signal = new AbortController().signal,
): Promise<{ durability: string }> {
  const log = serviceLog(configuration, 'master', false);
  await using stores = new OpenStores(configuration, log, signal, patience);
  for (const name of await migrate(await stores.postgres())) log.info(`database: applied ${name}`);
  const { manager } = await stores.nats();
  await ensureStreams(manager, {
    shards: configuration.integer('postfleet_shards'),
    replicas: configuration.integer('postfleet_replicas'),
    maxBytes: configuration.integer('postfleet_stream_bytes'),
  });
  return { durability: await seenDurability(configuration.text('postfleet_nats_monitor_url')) };
}
