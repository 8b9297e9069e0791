/**
 * The operator: follows MailServers and what belongs to them, and while it holds the lease brings each to what its spec says.
 *
 * Side effects: all that is in operator/rbac.ts, and the streams and tables of MailServers. Logs what it changes, and each
 * reconcile that failed. It stands for the lease, and works, when it has read everything that it follows: what it has not
 * seen would look as if it were missing. Ends in order when `stop` is aborted: reconciles under way finish their step, the
 * lease is given back. Resolves to false where the lease was lost, which ends every request to the API server: whoever
 * started it ends, and is started again.
 */
import type { KubeConfig } from '@kubernetes/client-node';
import { listenHttp } from '../lib/server/http.ts';
import { createLog, type Log } from '../lib/util/log.ts';
import type { OperatorContext } from './context.ts';
import { Cluster } from './reconcile/cluster.ts';
import { Reconciler } from './reconcile/reconcile.ts';
import { StoreConnections } from './reconcile/store-connections.ts';
import { ApiClient, ApiError } from './runtime/api-client.ts';
import { aborted } from './runtime/backoff.ts';
import { EventRecorder } from './runtime/event-recorder.ts';
import { KeyQueue } from './runtime/key-queue.ts';
import { Leader } from './runtime/leader.ts';
import { createOperatorMetrics } from './runtime/metrics.ts';
import type { OperatorSettings } from './settings.ts';

/** MailServers that are worked on at once. */
const CONCURRENCY = 4;

export interface OperatorOptions {
  readonly settings: OperatorSettings;
  readonly kubeConfig: KubeConfig;
  readonly stop: AbortSignal;
  /** For tests. */
  readonly log?: Log;
  /** Told when everything runs. */
  readonly started?: (operator: { readonly context: OperatorContext }) => void;
}

export async function runOperator(options: OperatorOptions): Promise<boolean> {
  const { settings, stop } = options;
  const log = options.log ?? createLog({ program: 'postfleet/operator', format: settings.logFormat });
  const ending = new AbortController();
  await using stack = new AsyncDisposableStack();
  const leaseClient = new ApiClient(options.kubeConfig);
  stack.defer(() => leaseClient.close());
  const { namespace, identity } = settings;
  const leader = new Leader({ client: leaseClient, namespace, identity, log, signal: stop });
  const signal = AbortSignal.any([stop, ending.signal, leader.lost]);
  const client = new ApiClient(options.kubeConfig, leader.lost);
  stack.defer(() => client.close());
  const metrics = createOperatorMetrics();
  const stores = stack.use(new StoreConnections());
  const events = new EventRecorder({ client, identity, log });
  const queue = new KeyQueue({
    concurrency: CONCURRENCY,
    signal,
    work: (key) => work(key),
    failed: (key, error) => log.error(`${key}: ${describe(error)}`),
  });
  const cluster = new Cluster({
    client,
    log,
    signal,
    namespaces: settings.watchNamespaces,
    touched: (key) => queue.add(key),
  });
  const context: OperatorContext = { settings, client, cluster, stores, events, metrics, log, signal };
  const reconciler = new Reconciler(context);
  const work = async (key: string): Promise<number | undefined> => {
    const end = metrics.seconds.startTimer();
    try {
      const next = await reconciler.reconcile(key);
      metrics.reconciles.inc({ result: next !== undefined && next < settings.resyncMs ? 'waiting' : 'ok' });
      return next;
    } catch (error) {
      // Somebody else wrote at the same time; the next pass sees it.
      if (error instanceof ApiError && error.status === 409) return 100;
      metrics.reconciles.inc({ result: 'error' });
      throw error;
    } finally {
      end();
      metrics.writes.set(client.writes);
      metrics.waiting.set(queue.length);
    }
  };
  stack.use(
    await listenHttp({
      listen: settings.listen,
      notReady: async () => (signal.aborted ? ['ending'] : cluster.synced ? [] : ['informers']),
      metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
    }),
  );
  log.info(`follows MailServers in ${settings.watchNamespaces?.join(', ') ?? 'all namespaces'}`);
  const following = cluster.run();
  options.started?.({ context });
  const kept = await lead();
  ending.abort();
  await Promise.all([following, queue.finished()]);
  return kept;

  /** Works from when it leads until it is told to end; false where it lost the lease. */
  async function lead(): Promise<boolean> {
    try {
      await Promise.race([cluster.listed(), aborted(signal)]);
      if (settings.leaderElection) await leader.acquire();
    } catch (error) {
      if (signal.aborted) return true;
      throw error;
    }
    metrics.leader.set(1);
    queue.start();
    if (settings.leaderElection) return leader.hold(() => queue.finished());
    await aborted(signal);
    return true;
  }
}

function describe(error: unknown): string {
  if (error instanceof ApiError) return `the API server refused: ${error.message}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
