/**
 * The skeleton of services that answer calls of other services: trivial-rewrite, cleanup, bounce, anvil, proxymap,
 * showq and the delivery agents. `open` makes the implementation; the skeleton makes it reachable by whatever transport the process
 * uses, and releases it at the end.
 */
import type { ServiceContext } from './context.ts';
import type { Implementation, RunningService, ServiceDefinition } from './service.ts';

export interface RpcServerTable {
  readonly name: string;
  readonly parameters: readonly string[];
  readonly keepsState?: boolean;
  /** Makes the implementation. Throws FatalError where it cannot. */
  open(
    context: ServiceContext,
  ): Promise<Implementation & Partial<AsyncDisposable> & { ready?: () => boolean | Promise<boolean> }>;
}

export function rpcServer(table: RpcServerTable): ServiceDefinition {
  return {
    name: table.name,
    skeleton: 'rpcServer',
    parameters: table.parameters,
    keepsState: table.keepsState ?? false,
    async start(context: ServiceContext): Promise<RunningService> {
      const implementation = await table.open(context);
      return {
        implementation,
        ready: () => implementation.ready?.() ?? true,
        [Symbol.asyncDispose]: async () => implementation[Symbol.asyncDispose]?.(),
      };
    },
  };
}
