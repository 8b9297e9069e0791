/**
 * Services as a process: `postfleet <daemon> [--service NAME/TYPE …]`, mostly one. Their addresses come from main.cf or the environment
 * (POSTFLEET_NATS_URL, POSTFLEET_POSTGRES_URL, POSTFLEET_RPC_ADDRESS, POSTFLEET_RPC_TOKEN_FILE, POSTFLEET_RPC_TLS_DIRECTORY).
 *
 * Throws FatalError for what keeps it from starting. Resolves when it has drained after `stop`.
 */
import { readFileSync } from 'node:fs';
import { RemoteClients } from '../lib/clients/grpc.ts';
import { channelCredentials, serverCredentials } from '../lib/clients/rpc-certificates.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import { readSuccessor } from '../lib/config/reload.ts';
import { Configuration } from '../lib/config/settings.ts';
import { DirectoryWatch, directoryContents } from '../lib/server/directory-watch.ts';
import { type PreparedReload, ServiceHost, type ServiceToRun } from '../lib/server/host.ts';
import { type ConfigurationNews, listenHttp } from '../lib/server/http.ts';
import { kindsOf } from '../lib/server/live-implementation.ts';
import { openTracing } from '../lib/server/open-tracing.ts';
import { listenRpc } from '../lib/server/rpc-listener.ts';
import { SharedListener } from '../lib/server/shared-listener.ts';
import { FatalError } from '../lib/util/errors.ts';
import type { ControlAnswer, ControlRequest } from '../services/master/service-control.ts';
import { SERVICES } from './services.ts';

/** The channel to the master that started this process and reloads all services together. */
export interface MasterChannel {
  onRequest(handle: (request: ControlRequest) => void): void;
  /** The master is gone: what it has not committed it never will. */
  onLost(handle: () => void): void;
  tell(answer: ControlAnswer): void;
}

export interface RunServiceOptions {
  readonly command: string;
  /** "NAME/TYPE" of the master.cf entries, the command's own first; the first entry of the command where there are none. */
  readonly entries: readonly string[];
  readonly configDirectory: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Aborted when the process is told to end. */
  readonly stop: AbortSignal;
  /** Says whom to call when the process is told to read its configuration again. */
  readonly onReload: (reload: () => void) => void;
  /** Undefined where nobody started it as a part of an instance. */
  readonly master: MasterChannel | undefined;
}

function findEntries(configuration: Configuration, command: string, wanted: readonly string[]): MasterEntry[] {
  const { master } = configuration;
  if (wanted.length === 0) {
    const entry = master.find((candidate) => candidate.command === command);
    if (entry === undefined) throw new FatalError(`master.cf has no entry with command ${command}`);
    return [entry];
  }
  return wanted.map((name, at) => {
    const entry = master.find((candidate) => `${candidate.name}/${candidate.type}` === name);
    // Further services of the process may be of other daemons.
    if (entry !== undefined && (at > 0 || entry.command === command)) return entry;
    throw new FatalError(`master.cf has no entry ${name}${at > 0 ? '' : ` with command ${command}`}`);
  });
}

/** The services of the entries, those that are called before those that call. */
async function servicesOf(configuration: Configuration, options: RunServiceOptions): Promise<ServiceToRun[]> {
  const entries = findEntries(configuration, options.command, options.entries);
  return Promise.all(
    entries.map(async (entry) => {
      const load = SERVICES.get(entry.command);
      if (load === undefined)
        throw new FatalError(`master.cf, line ${entry.line}: there is no daemon "${entry.command}"`);
      return { entry, definition: await load() };
    }),
  );
}

/** The token that calls carry. */
export function readToken(configuration: Configuration): string {
  const path = configuration.text('postfleet_rpc_token_file');
  if (path === '')
    throw new FatalError(
      'postfleet_rpc_token_file is empty: name the file with the token that calls between services carry',
    );
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new FatalError(`postfleet_rpc_token_file: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** Opens the service with the files as they are. Throws FatalError, and changes nothing, for what is wrong with them. */
async function prepareReload(host: ServiceHost, options: RunServiceOptions): Promise<PreparedReload> {
  const { configuration, errors } = readSuccessor(host.configuration, options.environment);
  if (configuration === undefined) throw new FatalError(errors.join('; '));
  return host.prepare(configuration, await servicesOf(configuration, options));
}

/** Puts the files as they are into force; what is wrong with them is logged and returned, and then nothing changes. */
async function reload(host: ServiceHost, options: RunServiceOptions): Promise<string> {
  try {
    (await prepareReload(host, options)).commit();
    return '';
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    host.log.error(`reload: ${text}; the configuration before stays in force`);
    return text;
  }
}

/** The master's side of a reload, one step after another: what is open is put into force or taken back. */
class MasterReload implements AsyncDisposable {
  readonly #host: ServiceHost;
  readonly #options: RunServiceOptions;
  #prepared: PreparedReload | undefined;

  constructor(host: ServiceHost, options: RunServiceOptions) {
    this.#host = host;
    this.#options = options;
  }

  async answer({ id, kind }: ControlRequest): Promise<void> {
    const { master } = this.#options;
    try {
      if (kind === 'prepare') {
        await this[Symbol.asyncDispose]();
        this.#prepared = await prepareReload(this.#host, this.#options);
      } else if (kind === 'commit') {
        this.#prepared?.commit();
        this.#prepared = undefined;
      } else await this[Symbol.asyncDispose]();
      master?.tell({ kind: 'done', id });
    } catch (error) {
      master?.tell({ kind: 'refused', id, reason: error instanceof Error ? error.message : String(error) });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    await prepared?.[Symbol.asyncDispose]();
  }
}

export async function runService(options: RunServiceOptions): Promise<void> {
  const { command, configDirectory, environment, master, stop } = options;
  // Told while it starts, it may have read the files before they were changed: it reads them again when it has started.
  const running = Promise.withResolvers<void>();
  let reloading = running.promise;
  const next = (step: () => Promise<void>): void => {
    reloading = reloading.then(step);
  };
  const readAgain = (): void =>
    next(async () => {
      const read = (await directoryContents(configDirectory)) ?? '';
      news = { read, refused: await reload(host, options) };
    });
  options.onReload(readAgain);
  const seen = await directoryContents(configDirectory);
  let news: ConfigurationNews = { read: seen ?? '', refused: '' };
  const configuration = Configuration.load(configDirectory, { environment });
  const services = await servicesOf(configuration, options);
  const token = readToken(configuration);
  await using stack = new AsyncDisposableStack();
  const certificates = configuration.text('postfleet_rpc_tls_directory');
  const address = configuration.text('postfleet_rpc_address');
  const remote = stack.use(new RemoteClients({ address, token, credentials: channelCredentials(certificates) }));
  const listener = new SharedListener();
  const host: ServiceHost = new ServiceHost({
    configuration,
    remote,
    tracing: await openTracing(`postfleet-${command}`),
    expose: async ({ name }, implementation) =>
      kindsOf(implementation).length === 0 ? undefined : listener.expose(name, implementation),
  });
  // Health is the first that can be asked and the last: whoever watches sees a process that is alive and not ready, not
  // one that is missing.
  const http = configuration.text('postfleet_http_listen');
  let started = false;
  if (http !== '') {
    stack.use(
      await listenHttp({
        listen: http,
        notReady: async () => (started ? host.notReady() : services.map(({ entry }) => entry.name)),
        metrics: async () => ({
          contentType: host.metrics.registry.contentType,
          text: await host.metrics.registry.metrics(),
        }),
        configuration: () => news,
      }),
    );
  }
  stack.use(host);
  const told = stack.use(new MasterReload(host, options));
  master?.onRequest((request) => next(() => told.answer(request)));
  master?.onLost(() => next(() => told[Symbol.asyncDispose]()));
  for (const { entry, definition } of services) await host.start(entry, definition);
  await listener.listen((implementation) => {
    const listen = configuration.text('postfleet_rpc_listen') || address;
    return listenRpc({
      address: listen.replaceAll('{service}', services[0]!.entry.name),
      token,
      credentials: serverCredentials(certificates),
      implementation,
      grace: configuration.seconds('postfleet_shutdown_grace') * 1000,
      notReady: () => host.notReady(),
      log: host.log,
    });
  });
  if (configuration.boolean('postfleet_watch_configuration'))
    stack.use(new DirectoryWatch({ directory: configDirectory, changed: readAgain, seen }));
  started = true;
  running.resolve();
  master?.tell({ kind: 'started' });
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await reloading;
}
