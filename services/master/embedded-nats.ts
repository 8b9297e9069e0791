/**
 * nats-server as a child process, with JetStream that syncs every write unless told otherwise, on loopback, behind a token.
 */
import { accessSync, constants, statfsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EX, FatalError } from '../../lib/util/errors.ts';
import type { Log } from '../../lib/util/log.ts';
import { Child, TRIES_AT_START } from './child.ts';
import type { Instance } from './instance.ts';
import { endLeftover } from './leftover.ts';

function executable(name: string, directories: readonly string[]): string | undefined {
  return directories
    .map((directory) => join(directory, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

export interface EmbeddedNats {
  readonly child: Child;
  readonly url: string;
  readonly monitorUrl: string;
}

const files = (instance: Instance) => ({
  pidFile: join(instance.runDirectory, 'nats.pid'),
  configuration: join(instance.path('secret'), 'nats.conf'),
});

/** Ends the server of a master that was killed. */
export function endEarlierNats(instance: Instance): Promise<void> {
  const { pidFile, configuration } = files(instance);
  return endLeftover(pidFile, configuration, 'SIGTERM');
}

/**
 * `searchPath`: directories like those of $PATH, the project's own tools first. `syncInterval`: "always", or a duration
 * for whoever means to lose mail.
 */
export function startNats(instance: Instance, searchPath: string, syncInterval: string, log: Log): EmbeddedNats {
  if (!/^(?:always|[0-9]{1,6}[smh])$/.test(syncInterval)) {
    throw new FatalError(`postfleet_nats_sync_interval = ${syncInterval}: expected "always" or a time such as 2m`);
  }
  const command = executable('nats-server', searchPath.split(delimiter));
  if (command === undefined) {
    throw new FatalError('nats-server is not in PATH: run "make up", which installs it, or set POSTFLEET_NATS_URL', {
      exitCode: EX.UNAVAILABLE,
    });
  }
  const { nats, natsMonitor } = instance.ports;
  const token = instance.secret('nats-token');
  const store = instance.path('nats');
  const { blocks, bsize } = statfsSync(instance.directory);
  const { pidFile, configuration } = files(instance);
  // The bound of the store is the disk's size: queue_minfree refuses mail long before the server would have to.
  writeFileSync(
    configuration,
    [
      'server_name: postfleet',
      `listen: "127.0.0.1:${nats}"`,
      `http: "127.0.0.1:${natsMonitor}"`,
      'max_payload: 1MB',
      `pid_file: ${JSON.stringify(pidFile)}`,
      `authorization { token: "${token}" }`,
      'jetstream {',
      `  store_dir: ${JSON.stringify(store)}`,
      `  sync_interval: ${syncInterval === 'always' ? syncInterval : JSON.stringify(syncInterval)}`,
      '  max_mem: 64MB',
      `  max_file: ${blocks * bsize}`,
      '}',
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  const child = new Child({
    name: 'nats-server',
    command,
    arguments: ['-c', configuration],
    environment: { GOGC: '50', GOMEMLIMIT: '128MiB' },
    outputFile: join(instance.runDirectory, 'nats.log'),
    stopSignal: 'SIGTERM',
    grace: 10_000,
    log,
    triesAtStart: TRIES_AT_START,
    prepare: () => endEarlierNats(instance),
  });
  return { child, url: `nats://${token}@127.0.0.1:${nats}`, monitorUrl: `http://127.0.0.1:${natsMonitor}` };
}
