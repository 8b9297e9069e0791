/**
 * The skeleton of services that listen for clients: smtpd. It opens the listeners of the master.cf entry (an endpoint of
 * inet_interfaces and a port), counts sessions against the process limit, and drains: when `draining` is aborted the
 * listeners close, unless the service's successor after a reload has taken them over, and what is under way ends by itself
 * or with `signal`.
 *
 * Logs `connect`-level trouble only; sessions log themselves.
 */
import type { Connection } from './connection.ts';
import type { ServiceContext } from './context.ts';
import { type Endpoint, type ListenerClaim, Listeners } from './listeners.ts';
import type { RunningService, ServiceDefinition } from './service.ts';
import { WaitingClients } from './waiting-clients.ts';

export type { Endpoint };

export interface TcpHandler extends Partial<AsyncDisposable> {
  /** Serves one connection; resolves when it is over, and never rejects for what a client does. */
  session(connection: Connection): Promise<void>;
  ready?(): boolean | Promise<boolean>;
}

export interface TcpServerTable {
  readonly name: string;
  readonly parameters: readonly string[];
  open(context: ServiceContext): Promise<TcpHandler>;
}

/** The addresses that an entry listens on are put there by the process that starts the service. */
export interface ListeningContext extends ServiceContext {
  readonly endpoints?: readonly Endpoint[];
  /** Several threads listen on the same port, and the kernel spreads connections over them. */
  readonly reusePort?: boolean;
  /** The listening sockets of the process; those of the service alone where they are left out. */
  readonly listeners?: Listeners;
}

export function tcpServer(table: TcpServerTable): ServiceDefinition {
  return {
    name: table.name,
    skeleton: 'tcpServer',
    parameters: table.parameters,
    async start(base: ServiceContext): Promise<RunningService> {
      const context = base as ListeningContext;
      const handler = await table.open(context);
      /** Those that are served. */
      const connections = new Set<Connection>();
      let idle: (() => void) | undefined;
      const waiting = new WaitingClients(context.log);

      const serve = (connection: Connection): void => {
        connections.add(connection);
        const ended = (): void => {
          connections.delete(connection);
          if (connections.size === 0) idle?.();
          const next = waiting.next();
          if (next !== undefined) serve(next);
        };
        handler.session(connection).then(ended, (error: unknown) => {
          context.log.error(`session ended by an unexpected error: ${String(error)}`);
          ended();
        });
      };

      // A connection above the limit waits as it would in the listen queue of a Postfix whose processes are all busy.
      const accept = (connection: Connection): void => {
        if (connections.size >= context.processLimit) waiting.add(connection);
        else serve(connection);
      };

      const failed = (error: Error): void => context.log.warning(`accept connection: ${error.message}`);

      const listeners = context.listeners ?? new Listeners();
      const claims: ListenerClaim[] = [];
      // Clients that wait for their turn keep it where a successor serves those that come after them.
      const close = (): void => {
        const closed = claims.splice(0).map((claim) => claim.release());
        if (closed.includes(true)) waiting.clear();
      };
      try {
        if (context.endpoints === undefined)
          context.log.warning(
            `service ${context.name}: only entries of type inet listen for clients; nobody can connect to this one`,
          );
        for (const endpoint of context.endpoints ?? [])
          claims.push(await listeners.claim(endpoint, context.reusePort ?? false, context.name, accept, failed));
      } catch (error) {
        close();
        await handler[Symbol.asyncDispose]?.();
        throw error;
      }
      context.draining.addEventListener('abort', close, { once: true });
      const cut = (): void => {
        waiting.clear();
        for (const connection of connections) connection.destroy();
      };
      context.signal.addEventListener('abort', cut, { once: true });

      return {
        implementation: {},
        takeOver: () => {
          for (const claim of claims) claim.takeOver();
        },
        ready: () => !context.draining.aborted && (handler.ready?.() ?? true),
        [Symbol.asyncDispose]: async () => {
          close();
          while (connections.size > 0) await new Promise<void>((resolve) => (idle = resolve));
          await handler[Symbol.asyncDispose]?.();
        },
      };
    },
  };
}
