/**
 * qmgr(8)'s parameters, compiled once. Times are in milliseconds where the name says so, else in seconds.
 */
import type { Configuration } from '../../lib/config/settings.ts';

export const QMGR_PARAMETERS = [
  'qmgr_message_active_limit',
  'minimal_backoff_time',
  'maximal_backoff_time',
  'maximal_queue_lifetime',
  'bounce_queue_lifetime',
  'delay_warning_time',
  'queue_run_delay',
  'default_destination_concurrency_limit',
  'default_destination_recipient_limit',
  'default_destination_concurrency_failed_cohort_limit',
  'default_destination_concurrency_positive_feedback',
  'default_destination_concurrency_negative_feedback',
  'default_destination_rate_delay',
  'default_transport_rate_delay',
  'initial_destination_concurrency',
  'default_process_limit',
  'defer_transports',
  'postfleet_shards',
  'postfleet_lease_time',
  'postfleet_log_grace',
  'postfleet_log_grace_bytes',
  'postfleet_active_memory',
] as const;

export interface TransportSettings {
  readonly name: string;
  /** Deliveries at once: maxproc of the master.cf entry. */
  readonly processLimit: number;
  /** Deliveries at once to one destination; 0: no limit. */
  readonly destinationConcurrencyLimit: number;
  readonly destinationRecipientLimit: number;
  readonly initialDestinationConcurrency: number;
  /** Pseudo-cohort failures after which a destination is dead. */
  readonly failedCohortLimit: number;
  readonly positiveFeedback: Feedback;
  readonly negativeFeedback: Feedback;
  readonly destinationRateDelayMs: number;
  readonly transportRateDelayMs: number;
}

/** "1", "0.5", "1 / concurrency", "1 / sqrt_concurrency". */
export interface Feedback {
  readonly base: number;
  readonly per: 'constant' | 'concurrency' | 'sqrt_concurrency';
}

export interface QmgrSettings {
  readonly activeLimit: number;
  readonly minimalBackoff: number;
  readonly maximalBackoff: number;
  readonly maximalQueueLifetime: number;
  readonly bounceQueueLifetime: number;
  /** 0: no delay notices. */
  readonly delayWarningTime: number;
  readonly queueRunDelayMs: number;
  readonly deferTransports: ReadonlySet<string>;
  readonly shards: number;
  readonly leaseSeconds: number;
  readonly graceSeconds: number;
  readonly graceBytes: number;
  /** Octets of message content that the active queue keeps in memory. */
  readonly activeMemory: number;
}

export function qmgrSettings(configuration: Configuration): QmgrSettings {
  return {
    activeLimit: configuration.integer('qmgr_message_active_limit'),
    minimalBackoff: configuration.seconds('minimal_backoff_time'),
    maximalBackoff: configuration.seconds('maximal_backoff_time'),
    maximalQueueLifetime: configuration.seconds('maximal_queue_lifetime'),
    bounceQueueLifetime: configuration.seconds('bounce_queue_lifetime'),
    delayWarningTime: configuration.seconds('delay_warning_time'),
    queueRunDelayMs: configuration.seconds('queue_run_delay') * 1000,
    deferTransports: new Set(configuration.list('defer_transports')),
    shards: configuration.integer('postfleet_shards'),
    leaseSeconds: configuration.seconds('postfleet_lease_time'),
    graceSeconds: configuration.seconds('postfleet_log_grace'),
    graceBytes: configuration.integer('postfleet_log_grace_bytes'),
    activeMemory: configuration.integer('postfleet_active_memory'),
  };
}

/** `1`, `1/concurrency`, `0.5 / sqrt_concurrency` (postconf(5), default_destination_concurrency_positive_feedback). */
export function parseFeedback(text: string): Feedback | undefined {
  const [base = '', per, ...rest] = text.split('/').map((part) => part.trim());
  const number = Number(base);
  if (rest.length > 0 || base === '' || !Number.isFinite(number) || number < 0 || number > 1) return undefined;
  if (per === undefined) return { base: number, per: 'constant' };
  return per === 'concurrency' || per === 'sqrt_concurrency' ? { base: number, per } : undefined;
}

/** The settings of one transport: `<transport>_destination_…`, which fall back on `default_destination_…`. */
export function transportSettings(configuration: Configuration, name: string): TransportSettings {
  const feedback = (sign: 'positive' | 'negative'): Feedback =>
    parseFeedback(configuration.text(`${name}_destination_concurrency_${sign}_feedback`)) ?? {
      base: 1,
      per: 'constant',
    };
  const maxproc = configuration.master.find((entry) => entry.name === name && entry.type === 'unix')?.maxproc;
  return {
    name,
    processLimit: (maxproc ?? configuration.integer('default_process_limit')) || Number.MAX_SAFE_INTEGER,
    destinationConcurrencyLimit: configuration.integer(`${name}_destination_concurrency_limit`),
    destinationRecipientLimit: configuration.integer(`${name}_destination_recipient_limit`),
    initialDestinationConcurrency: configuration.integer(`${name}_initial_destination_concurrency`),
    failedCohortLimit: configuration.integer(`${name}_destination_concurrency_failed_cohort_limit`),
    positiveFeedback: feedback('positive'),
    negativeFeedback: feedback('negative'),
    destinationRateDelayMs: configuration.seconds(`${name}_destination_rate_delay`) * 1000,
    transportRateDelayMs: configuration.seconds(`${name}_transport_rate_delay`) * 1000,
  };
}
