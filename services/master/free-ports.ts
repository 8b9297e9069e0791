/**
 * Looks, before anything is started, whether the ports that an instance is to listen on are free: a store that finds its
 * port taken says so only in its own log.
 */
import { createServer } from 'node:net';
import type { Configuration } from '../../lib/config/settings.ts';
import { endpoints } from '../../lib/server/endpoints.ts';
import { hostAndPort } from '../../lib/server/http.ts';
import { listenError } from '../../lib/server/listen-error.ts';
import type { Endpoint } from '../../lib/server/listeners.ts';
import { EX, FatalError } from '../../lib/util/errors.ts';
import type { Instance } from './instance.ts';
import { plan } from './plan.ts';
import { httpListen } from './processes.ts';

interface WantedPort extends Endpoint {
  readonly what: string;
}

/** Which stores the instance starts itself; the others are at addresses that it was told. */
export interface OwnStores {
  readonly nats: boolean;
  readonly postgres: boolean;
}

/** `configuration`: with what the instance gives to its services. */
export function wantedPorts(
  instance: Instance,
  configuration: Configuration,
  services: ReadonlySet<string>,
  shape: 'one' | 'many',
  own: OwnStores,
): WantedPort[] {
  const host = '127.0.0.1';
  const { nats, natsMonitor, postgres } = instance.ports;
  const { main, threads } = plan(configuration, services, shape === 'one');
  const entries = [...main, ...threads].filter(({ type }) => type === 'inet');
  const processes = shape === 'one' ? 1 : main.length;
  return [
    ...entries.flatMap((entry) =>
      endpoints(configuration, entry).map((endpoint) => ({ what: entry.name, ...endpoint })),
    ),
    ...(own.nats
      ? [
          { what: 'NATS', host, port: nats },
          { what: 'the monitor of NATS', host, port: natsMonitor },
        ]
      : []),
    ...(own.postgres ? [{ what: 'Postgres', host, port: postgres }] : []),
    ...Array.from({ length: processes }, (_, index) => httpListen(configuration, index))
      .filter((listen) => listen !== '')
      .map((listen) => ({ what: 'health and metrics', ...hostAndPort(listen) })),
  ];
}

/** Throws FatalError with a line for each port that cannot be listened on. */
export async function requireFree(ports: readonly WantedPort[]): Promise<void> {
  // One after another: a port that is wanted twice is none that somebody else has.
  const errors: string[] = [];
  for (const port of ports) {
    const error = await whyNot(port);
    if (error !== undefined) errors.push(error.message);
  }
  if (errors.length > 0) throw new FatalError(errors.join('\n'), { exitCode: EX.OSERR });
}

async function whyNot({ what, host, port }: WantedPort): Promise<FatalError | undefined> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<FatalError | undefined>();
  server.once('error', (error) => resolve(listenError(what, `${host}:${port}`, error, 'choose others with PORT=')));
  server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  return promise;
}
