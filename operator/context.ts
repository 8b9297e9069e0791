/** What the parts of the operator share; tests make one with parts of their own. */
import type { Log } from '../lib/util/log.ts';
import type { Cluster } from './reconcile/cluster.ts';
import type { StoreConnections } from './reconcile/store-connections.ts';
import type { ApiClient } from './runtime/api-client.ts';
import type { EventRecorder } from './runtime/event-recorder.ts';
import type { OperatorMetrics } from './runtime/metrics.ts';
import type { OperatorSettings } from './settings.ts';

export interface OperatorContext {
  readonly settings: OperatorSettings;
  readonly client: ApiClient;
  readonly cluster: Cluster;
  readonly stores: StoreConnections;
  readonly events: EventRecorder;
  readonly metrics: OperatorMetrics;
  readonly log: Log;
  /** Aborted when the operator is to end, or no longer leads. */
  readonly signal: AbortSignal;
}
