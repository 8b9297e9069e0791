/**
 * The skeleton of services that listen for clients: smtpd. It opens the listeners of the master.cf entry (an endpoint of
 * inet_interfaces and a port), counts sessions against the process limit, and drains: when `draining` is aborted the
 * listeners close, and what is under way ends by itself or with `signal`.
 *
 * Logs `connect`-level trouble only; sessions log themselves.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { EX, FatalError } from '../util/errors.ts';
import type { ServiceContext } from './context.ts';
import type { RunningService, ServiceDefinition } from './service.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface TcpHandler extends Partial<AsyncDisposable> {
  /** Serves one connection; resolves when it is over, and never rejects for what a client does. */
  session(socket: Socket): Promise<void>;
  ready?(): boolean | Promise<boolean>;
}

export interface TcpServerTable {
  readonly name: string;
  readonly parameters: readonly string[];
  open(context: ServiceContext): Promise<TcpHandler>;
}

/** The addresses that an entry listens on are put there by the process that starts the service. */
export interface ListeningContext extends ServiceContext {
  readonly endpoints: readonly Endpoint[];
  /** Several threads listen on the same port, and the kernel spreads connections over them. */
  readonly reusePort?: boolean;
}

async function listen(server: Server, endpoint: Endpoint, reusePort: boolean, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: endpoint.host, port: endpoint.port, backlog: 4096, reusePort }, resolve);
  try {
    await promise;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'EADDRINUSE' ? 'the port is taken: stop what listens there, or choose another port' : String(error);
    throw new FatalError(`${name}: cannot listen on ${endpoint.host}:${endpoint.port}: ${why}`, {
      cause: error,
      exitCode: EX.OSERR,
    });
  } finally {
    server.off('error', reject);
  }
}

export function tcpServer(table: TcpServerTable): ServiceDefinition {
  return {
    name: table.name,
    skeleton: 'tcpServer',
    parameters: table.parameters,
    async start(base: ServiceContext): Promise<RunningService> {
      const context = base as ListeningContext;
      const handler = await table.open(context);
      const sessions = new Set<Promise<void>>();
      const sockets = new Set<Socket>();
      const waiting: Socket[] = [];

      const serve = (socket: Socket): void => {
        sockets.add(socket);
        const session = handler
          .session(socket)
          .catch((error: unknown) => context.log.error(`session ended by an unexpected error: ${String(error)}`))
          .finally(() => {
            sockets.delete(socket);
            sessions.delete(session);
            const next = waiting.shift();
            if (next !== undefined) serve(next);
          });
        sessions.add(session);
      };

      // A connection above the limit waits as it would in the listen queue of a Postfix whose processes are all busy.
      const accept = (socket: Socket): void => {
        socket.on('error', () => socket.destroy());
        if (sessions.size >= context.processLimit) waiting.push(socket);
        else serve(socket);
      };

      const servers: Server[] = [];
      for (const endpoint of context.endpoints) {
        const server = createServer({ noDelay: true, pauseOnConnect: false, allowHalfOpen: true }, accept);
        await listen(server, endpoint, context.reusePort ?? false, context.name);
        servers.push(server);
      }
      const close = (): void => {
        for (const server of servers) server.close();
        for (const socket of waiting.splice(0)) socket.destroy();
      };
      context.draining.addEventListener('abort', close, { once: true });
      const cut = (): void => {
        for (const socket of sockets) socket.destroy();
      };
      context.signal.addEventListener('abort', cut, { once: true });

      return {
        implementation: {},
        ready: () => !context.draining.aborted && (handler.ready?.() ?? true),
        [Symbol.asyncDispose]: async () => {
          close();
          await Promise.allSettled(sessions);
          await handler[Symbol.asyncDispose]?.();
        },
      };
    },
  };
}
