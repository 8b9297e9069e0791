/** Metrics of the operator. Every one is declared here, so that alerts can rely on names and labels. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface OperatorMetrics {
  readonly registry: Registry;
  readonly reconciles: Counter<'result'>;
  readonly seconds: Histogram;
  readonly writes: Gauge;
  readonly leader: Gauge;
  readonly waiting: Gauge;
  readonly ready: Gauge<'namespace' | 'name'>;
  readonly condition: Gauge<'namespace' | 'name' | 'type'>;
  readonly queue: Gauge<'namespace' | 'name' | 'state'>;
  readonly oldest: Gauge<'namespace' | 'name'>;
}

export function createOperatorMetrics(): OperatorMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const name = (rest: string): string => `postfleet_operator_${rest}`;
  const labelNames = ['namespace', 'name'] as const;
  return {
    registry,
    reconciles: new Counter({
      name: name('reconcile_total'),
      help: 'Reconciles by result: ok, waiting or error',
      labelNames: ['result'],
      registers,
    }),
    seconds: new Histogram({
      name: name('reconcile_seconds'),
      help: 'Time of a reconcile',
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60],
      registers,
    }),
    writes: new Gauge({
      name: name('api_writes'),
      help: 'Requests to the API server that change something, but for the lease, since the start',
      registers,
    }),
    leader: new Gauge({ name: name('leader'), help: '1 where this operator holds the lease', registers }),
    waiting: new Gauge({ name: name('queue_length'), help: 'MailServers that wait for a reconcile', registers }),
    ready: new Gauge({
      name: name('mailserver_ready'),
      help: '1 where the condition Ready holds',
      labelNames,
      registers,
    }),
    condition: new Gauge({
      name: name('mailserver_condition'),
      help: 'Conditions: 1 true, 0 false, -1 unknown',
      labelNames: [...labelNames, 'type'],
      registers,
    }),
    queue: new Gauge({
      name: name('queue_messages'),
      help: 'Recipients in the queue by state',
      labelNames: [...labelNames, 'state'],
      registers,
    }),
    oldest: new Gauge({
      name: name('queue_oldest_seconds'),
      help: 'Age of the oldest message in the queue',
      labelNames,
      registers,
    }),
  };
}
