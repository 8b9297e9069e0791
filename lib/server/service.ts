/**
 * What a service's main.ts exports: a table of what it is and one function that starts it. The skeletons in this folder
 * (tcpServer, rpcServer, queueWorker, soloWorker) make these from a handler and own everything around it.
 */
import type { Anvil, Bounce, Cleanup, DeliveryAgent, Proxymap, Queue, TrivialRewrite } from '../clients/protocols.ts';
import type { ServiceContext } from './context.ts';

/** What other services can call in this one; each is optional, most services have exactly one. */
export interface Implementation {
  cleanup?: Cleanup;
  rewrite?: TrivialRewrite;
  bounce?: Bounce;
  queue?: Queue;
  anvil?: Anvil;
  proxymap?: Proxymap;
  delivery?: DeliveryAgent;
}

export interface RunningService extends AsyncDisposable {
  readonly implementation: Implementation;
  /** True where the service would do its work at present; /readyz asks. */
  ready(): boolean | Promise<boolean>;
  /** Called when all services of a reload have started: what its predecessor still has of the outside comes here. */
  takeOver?(): void;
}

export interface ServiceDefinition {
  /** The daemon's name, as in the last column of master.cf. */
  readonly name: string;
  readonly skeleton: 'tcpServer' | 'rpcServer' | 'queueWorker' | 'soloWorker';
  /** main.cf parameters that it reads. */
  readonly parameters: readonly string[];
  /** Its state is in memory: over a reload that changes none of its parameters it goes on as it is. */
  readonly keepsState?: boolean;
  start(context: ServiceContext): Promise<RunningService>;
}
