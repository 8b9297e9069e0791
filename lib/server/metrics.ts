/**
 * Prometheus metrics of a process, by prom-client. Session threads keep registries of their own; the process that serves
 * /metrics asks them for theirs and adds them up.
 *
 * Every metric of Postfleet is declared here, so that names, labels and help texts stand in one place and a dashboard
 * can rely on them.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  /** Called before each reading: whoever keeps counts as plain numbers hands them over. */
  readonly handOver: Set<() => void>;
  readonly accepted: Counter<'service'>;
  readonly rejected: Counter<'service' | 'stage'>;
  readonly connections: Counter<'service'>;
  readonly sessions: Gauge<'service'>;
  readonly delivered: Counter<'transport'>;
  readonly deferred: Counter<'transport'>;
  readonly bounced: Counter<'transport'>;
  readonly queueDepth: Gauge<'queue'>;
  readonly oldestAge: Gauge<'queue'>;
  readonly commitBatch: Histogram<'commit'>;
  readonly commitSeconds: Histogram<'commit'>;
  readonly replySeconds: Histogram<'service'>;
  readonly connectionReuse: Counter<'transport'>;
  readonly trimmed: Counter<'log'>;
}

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const handOver = new Set<() => void>();
  const collect = (): void => {
    for (const give of handOver) give();
  };
  return {
    registry,
    handOver,
    accepted: new Counter({
      name: 'postfleet_messages_accepted_total',
      help: 'Messages answered with 250: kept',
      labelNames: ['service'],
      registers,
      collect,
    }),
    rejected: new Counter({
      name: 'postfleet_rejected_total',
      help: 'Commands refused, by stage',
      labelNames: ['service', 'stage'],
      registers,
      collect,
    }),
    connections: new Counter({
      name: 'postfleet_connections_total',
      help: 'Client connections accepted',
      labelNames: ['service'],
      registers,
      collect,
    }),
    sessions: new Gauge({
      name: 'postfleet_sessions',
      help: 'Client sessions open',
      labelNames: ['service'],
      registers,
      collect,
    }),
    delivered: new Counter({
      name: 'postfleet_recipients_delivered_total',
      help: 'Recipients delivered',
      labelNames: ['transport'],
      registers,
    }),
    deferred: new Counter({
      name: 'postfleet_recipients_deferred_total',
      help: 'Delivery attempts deferred',
      labelNames: ['transport'],
      registers,
    }),
    bounced: new Counter({
      name: 'postfleet_recipients_bounced_total',
      help: 'Recipients bounced',
      labelNames: ['transport'],
      registers,
    }),
    queueDepth: new Gauge({
      name: 'postfleet_queue_messages',
      help: 'Messages in the queue',
      labelNames: ['queue'],
      registers,
    }),
    oldestAge: new Gauge({
      name: 'postfleet_queue_oldest_seconds',
      help: 'Age of the oldest message in the queue',
      labelNames: ['queue'],
      registers,
    }),
    commitBatch: new Histogram({
      name: 'postfleet_commit_batch_entries',
      help: 'Entries in one commit',
      labelNames: ['commit'],
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'postfleet_commit_seconds',
      help: 'Duration of one commit',
      labelNames: ['commit'],
      buckets: SECONDS,
      registers,
    }),
    replySeconds: new Histogram({
      name: 'postfleet_reply_seconds',
      help: 'Time from end of data to the reply',
      labelNames: ['service'],
      buckets: SECONDS,
      registers,
      collect,
    }),
    connectionReuse: new Counter({
      name: 'postfleet_connections_reused_total',
      help: 'Deliveries over a cached connection',
      labelNames: ['transport'],
      registers,
    }),
    trimmed: new Counter({
      name: 'postfleet_log_trimmed_frames_total',
      help: 'Frames purged from a log',
      labelNames: ['log'],
      registers,
    }),
  };
}
