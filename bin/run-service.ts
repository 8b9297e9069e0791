/**
 * One service as a process: `postfleet <daemon> [--service NAME/TYPE]`. Its addresses come from main.cf or the environment
 * (POSTFLEET_NATS_URL, POSTFLEET_POSTGRES_URL, POSTFLEET_RPC_ADDRESS, POSTFLEET_RPC_TOKEN_FILE).
 *
 * Throws FatalError for what keeps it from starting. Resolves when it has drained after `stop`.
 */
import { readFileSync } from 'node:fs';
import { RemoteClients } from '../lib/clients/grpc.ts';
import type { MasterEntry } from '../lib/config/master-cf.ts';
import { Configuration } from '../lib/config/settings.ts';
import { ServiceHost } from '../lib/server/host.ts';
import { listenHttp } from '../lib/server/http.ts';
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

export async function runService(options: RunServiceOptions): Promise<void> {
  const { command, configDirectory, environment, stop } = options;
  const configuration = Configuration.load(configDirectory, { environment });
  const entry = findEntry(configuration, command, options.entry);
  const token = readToken(configuration);
  await using stack = new AsyncDisposableStack();
  const remote = stack.use(new RemoteClients({ address: configuration.text('postfleet_rpc_address'), token }));
  const host = stack.use(
    new ServiceHost({ configuration, remote, tracing: await openTracing(`postfleet-${command}`) }),
  );
  // Health first: whoever watches sees a process that is alive and not ready, not one that is missing.
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
  const definition = await SERVICES.get(command)!();
  const implementation = await host.start(entry, definition);
  if (Object.keys(implementation).some((key) => key !== 'ready')) {
    const address = (
      configuration.text('postfleet_rpc_listen') || configuration.text('postfleet_rpc_address')
    ).replaceAll('{service}', entry.name);
    stack.use(await listenRpc({ address, token, implementation, log: host.log }));
  }
  started = true;
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
}
