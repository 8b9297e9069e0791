/**
 * The skeleton of services that work a queue rather than answer calls: qmgr, pickup. `open` starts the work; disposing of
 * what it returns stops taking, finishes what is under way as far as `signal` allows, and lets go of the queue.
 */
import type { ServiceContext } from './context.ts';
import type { Implementation, RunningService, ServiceDefinition } from './service.ts';

export interface QueueWorkerTable {
  readonly name: string;
  readonly parameters: readonly string[];
  /** Starts the work. Throws FatalError where it cannot. */
  open(
    context: ServiceContext,
  ): Promise<Implementation & AsyncDisposable & { ready?: () => boolean | Promise<boolean> }>;
}

export function queueWorker(table: QueueWorkerTable): ServiceDefinition {
  return {
    name: table.name,
    skeleton: 'queueWorker',
    parameters: table.parameters,
    async start(context: ServiceContext): Promise<RunningService> {
      const worker = await table.open(context);
      return {
        implementation: worker,
        ready: () => worker.ready?.() ?? true,
        [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
      };
    },
  };
}
