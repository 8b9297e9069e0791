/**
 * The health and metrics port of a process: /livez (the process turns its event loop), /readyz (every service in it would
 * do its work), /metrics (Prometheus), and where the process says so /configuration (which one it has read, and why it refused
 * the last one, in JSON).
 *
 * Throws FatalError where it cannot listen.
 */
import { createServer, type ServerResponse } from 'node:http';
import { listenError } from './listen-error.ts';
import type { Endpoint } from './listeners.ts';

export interface HttpOptions {
  /** "host:port" */
  readonly listen: string;
  /** Services that are not ready, by name; empty where all are. */
  readonly notReady: () => Promise<string[]>;
  readonly metrics: () => Promise<{ contentType: string; text: string }>;
  readonly configuration?: () => ConfigurationNews;
}

/** Which configuration a process was given last, and whether it took it. */
export interface ConfigurationNews {
  /** `contentsHash` of lib/config/contents.ts; empty where the files could not be read. */
  readonly read: string;
  /** What keeps it from coming into force, with file, line and name; empty where nothing does. */
  readonly refused: string;
}

function send(response: ServerResponse, status: number, text: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }).end(text);
}

async function answer(options: HttpOptions, path: string, response: ServerResponse): Promise<void> {
  if (path === '/livez') {
    send(response, 200, 'ok\n');
  } else if (path === '/readyz') {
    const notReady = await options.notReady();
    send(
      response,
      notReady.length === 0 ? 200 : 503,
      notReady.length === 0 ? 'ok\n' : `not ready: ${notReady.join(' ')}\n`,
    );
  } else if (path === '/metrics') {
    const { contentType, text } = await options.metrics();
    send(response, 200, text, contentType);
  } else if (path === '/configuration' && options.configuration !== undefined) {
    send(response, 200, `${JSON.stringify(options.configuration())}\n`, 'application/json');
  } else {
    send(response, 404, 'not found: /livez, /readyz or /metrics\n');
  }
}

/** The parts of "host:port"; an IPv6 address stands in brackets there, and without them here. */
export function hostAndPort(listen: string): Endpoint {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}

export async function listenHttp(options: HttpOptions): Promise<AsyncDisposable> {
  const server = createServer({ requestTimeout: 5000 }, (request, response) => {
    answer(options, (request.url ?? '').split('?')[0]!, response).catch((error: unknown) =>
      send(response, 500, `${String(error)}\n`),
    );
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(hostAndPort(options.listen), resolve);
  try {
    await promise;
  } catch (error) {
    throw listenError('postfleet_http_listen', options.listen, error);
  }
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((closed) => server.close(() => closed()));
    },
  };
}
