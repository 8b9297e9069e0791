/**
 * One service as a process: `postfleet <daemon> [--service NAME/TYPE]`. Its addresses come from main.cf or the environment
 * (POSTFLEET_NATS_URL, POSTFLEET_POSTGRES_URL, POSTFLEET_RPC_ADDRESS, POSTFLEET_RPC_TOKEN_FILE).
 *
 * Throws FatalError for what keeps it from starting. Resolves when it has drained after `stop`.
 */
import { readFileSync } from 'node:fs';
import { RemoteClients } from '../lib/clients/grpc.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import { readSuccessor } from '../lib/config/reload.ts';
import { Configuration } from '../lib/config/settings.ts';
import { ServiceHost } from '../lib/server/host.ts';
import { listenHttp } from '../lib/server/http.ts';
import { kindsOf } from '../lib/server/live-implementation.ts';
import { openTracing } from '../lib/server/open-tracing.ts';
import { listenRpc } from '../lib/server/rpc-listener.ts';
import { FatalError } from '../lib/util/errors.ts';
import { SERVICES } from './services.ts';

export interface RunServiceOptions {
  readonly command: string;
  /** "NAME/TYPE" of the master.cf entry; the first entry of the command where it is left out. */
  readonly entry: string | undefined;
  readonly configDirectory: string;
  readonly environment: ReadonlyMap<string, string>;
  /** Aborted when the process is told to end. */
  readonly stop: AbortSignal;
  /** Says whom to call when the process is told to read its configuration again. */
  readonly onReload: (reload: () => void) => void;
}

function findEntry(configuration: Configuration, command: string, wanted: string | undefined): MasterEntry {
  const entry = configuration.master.find(
    (candidate) =>
      candidate.command === command && (wanted === undefined || `${candidate.name}/${candidate.type}` === wanted),
  );
  if (entry !== undefined) return entry;
  throw new FatalError(
    `master.cf has no ${wanted === undefined ? `entry with command ${command}` : `entry ${wanted} with command ${command}`}`,
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

/** Puts the files as they are into force; what is wrong with them is logged, and then nothing changes. */
async function reload(host: ServiceHost, options: RunServiceOptions): Promise<void> {
  const { configuration, errors } = readSuccessor(host.configuration, options.environment);
  try {
    if (configuration === undefined) throw new FatalError(errors.join('; '));
    const entry = findEntry(configuration, options.command, options.entry);
    const prepared = await host.prepare(configuration, [{ entry, definition: await SERVICES.get(options.command)!() }]);
    prepared.commit();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    host.log.error(`reload: ${text}; the configuration before stays in force`);
  }
}

export async function runService(options: RunServiceOptions): Promise<void> {
  const { command, configDirectory, environment, stop } = options;
  let reloading: Promise<void> | undefined;
  let reloads = 0;
  options.onReload(() => {
    reloads += 1;
    reloading = reloading?.then(() => reload(host, options));
  });
  const configuration = Configuration.load(configDirectory, { environment });
  const entry = findEntry(configuration, command, options.entry);
  const token = readToken(configuration);
  await using stack = new AsyncDisposableStack();
  const remote = stack.use(new RemoteClients({ address: configuration.text('postfleet_rpc_address'), token }));
  const host: ServiceHost = new ServiceHost({
    configuration,
    remote,
    tracing: await openTracing(`postfleet-${command}`),
    expose: async ({ name }, implementation) => {
      if (kindsOf(implementation).length === 0) return undefined;
      const { configuration: present } = host;
      const listen = present.text('postfleet_rpc_listen') || present.text('postfleet_rpc_address');
      const address = listen.replaceAll('{service}', name);
      const grace = present.seconds('postfleet_shutdown_grace') * 1000;
      return listenRpc({ address, token, implementation, grace, notReady: () => host.notReady(), log: host.log });
    },
  });
  // Health is the first that can be asked and the last: whoever watches sees a process that is alive and not ready, not
  // one that is missing.
  const http = configuration.text('postfleet_http_listen');
  let started = false;
  if (http !== '') {
    stack.use(
      await listenHttp({
        listen: http,
        notReady: async () => (started ? host.notReady() : [entry.name]),
        metrics: async () => ({
          contentType: host.metrics.registry.contentType,
          text: await host.metrics.registry.metrics(),
        }),
      }),
    );
  }
  stack.use(host);
  await host.start(entry, await SERVICES.get(command)!());
  started = true;
  // Told while it started, it may have read the files before they were changed.
  reloading = reloads > 0 ? reload(host, options) : Promise.resolve();
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await reloading;
}
