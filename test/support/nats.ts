/**
 * A real NATS server with JetStream for tests: one for each test process, on free ports, that ends with the process.
 *
 *     const { url } = await natsServer();          // shared by the tests of a file
 *     await using nats = await startNats();        // one of its own, to be killed
 */
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServerProcess, serverFolder, startServer } from './servers.ts';

const READY = /Server is ready/;
const BINARY = join(dirname(fileURLToPath(import.meta.url)), '../../.tools/bin/nats-server');

export interface NatsServer extends AsyncDisposable {
  /** "nats://127.0.0.1:PORT" */
  readonly url: string;
  /** "http://127.0.0.1:PORT", where the server says how it is set. */
  readonly monitorUrl: string;
  readonly process: ServerProcess;
  /** Kills the server at once; what it has stored stays. */
  kill(): Promise<void>;
  /** Starts it on the same ports and store, after `kill`. */
  restart(): Promise<void>;
}

export interface NatsOptions {
  /** "always" (the default) makes the server sync each write before it answers. */
  syncInterval?: string;
  /** Further lines of its configuration, for instance `max_payload: 65536`. */
  configuration?: string;
  /** Most bytes of file storage. */
  maxFileStore?: string;
}

/** Starts a server with a store of its own. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const folder = await serverFolder('nats');
  const file = join(folder, 'nats.conf');
  await writeFile(file, configuration(folder, options, -1, -1));
  const server = await startServer(folder, 'KILL', [BINARY, '-c', file]);
  await server.line(READY);
  const client = await portOf(server, 'Listening for client connections');
  const monitor = await portOf(server, 'Starting http monitor');
  await writeFile(file, configuration(folder, options, client, monitor));
  return {
    url: `nats://127.0.0.1:${client}`,
    monitorUrl: `http://127.0.0.1:${monitor}`,
    process: server,
    kill: () => server.kill('KILL'),
    async restart() {
      await server.start();
      await server.line(READY);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

async function portOf(server: ServerProcess, what: string): Promise<number> {
  return Number((await server.line(new RegExp(`${what} on 127\\.0\\.0\\.1:\\d+`))).split(':')[1]);
}

function configuration(folder: string, options: NatsOptions, port: number, monitorPort: number): string {
  return `listen: "127.0.0.1:${port}"
http: "127.0.0.1:${monitorPort}"
jetstream {
  store_dir: "${join(folder, 'store')}"
  sync_interval: ${options.syncInterval ?? 'always'}
  max_file_store: ${options.maxFileStore ?? '4GB'}
}
${options.configuration ?? ''}
`;
}

let shared: Promise<NatsServer> | undefined;

/** The server that all tests of this process share; tell streams apart by their names. */
export function natsServer(): Promise<NatsServer> {
  shared ??= startNats();
  return shared;
}
