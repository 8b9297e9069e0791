/**
 * The listening sockets of a process. One stays open over a reload: connections go to whoever served it before until the
 * next service takes it over, so that none is refused and none is lost in the queue of a socket that closes.
 *
 * Throws FatalError where it cannot listen.
 */
import { createServer, type Server } from 'node:net';
import { type Connection, SocketConnection } from './connection.ts';
import { acceptHandles, handlesAreKnown } from './handle-connection.ts';
import { listenError } from './listen-error.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Takes a connection; it is called for each. */
export type Accept = (connection: Connection) => void;

interface Listener {
  readonly server: Server;
  accept: Accept;
  failed: (error: Error) => void;
}

/** What a service holds of an endpoint. */
export interface ListenerClaim {
  /** From here on connections come to this service. */
  takeOver(): void;
  /** Closes the socket, unless another service has taken it over. True where it was closed. */
  release(): boolean;
}

const BACKLOG = 4096;

async function listen(server: Server, endpoint: Endpoint, reusePort: boolean, service: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: endpoint.host, port: endpoint.port, backlog: BACKLOG, reusePort }, resolve);
  try {
    await promise;
  } catch (error) {
    throw listenError(service, `${endpoint.host}:${endpoint.port}`, error);
  } finally {
    server.off('error', reject);
  }
}

export class Listeners {
  readonly #open = new Map<string, Listener>();

  /**
   * Opens the endpoint for a service, whose `accept` gets its connections at once; where it is open already, only from
   * `takeOver` on. `failed` hears of connections that the system could not give; the next one may come. `reusePort`:
   * several threads listen on the same port, and the kernel spreads connections over them.
   */
  async claim(
    endpoint: Endpoint,
    reusePort: boolean,
    service: string,
    accept: Accept,
    failed: (error: Error) => void,
  ): Promise<ListenerClaim> {
    const key = `${endpoint.host} ${endpoint.port}`;
    let listener = this.#open.get(key);
    if (listener === undefined) {
      const server = createServer({ noDelay: true, pauseOnConnect: false, allowHalfOpen: true }, (socket) =>
        opened.accept(new SocketConnection(socket)),
      );
      const opened: Listener = { server, accept, failed };
      await listen(server, endpoint, reusePort, service);
      server.on('error', (error) => opened.failed(error));
      if (handlesAreKnown(server)) acceptHandles(server, (connection) => opened.accept(connection));
      this.#open.set(key, opened);
      listener = opened;
    }
    const held = listener;
    return {
      takeOver: () => {
        held.accept = accept;
        held.failed = failed;
      },
      release: () => {
        if (held.accept !== accept) return false;
        if (this.#open.get(key) === held) this.#open.delete(key);
        held.server.close();
        return true;
      },
    };
  }
}
