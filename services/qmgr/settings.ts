/**
 * qmgr(8)'s parameters, compiled once. Times are in milliseconds where the name says so, else in seconds.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { type Feedback, parseFeedback, type WindowSettings } from './feedback.ts';
import type { PreemptionSettings } from './preemption.ts';

export const QMGR_PARAMETERS = [
  'qmgr_message_active_limit',
  'qmgr_message_recipient_limit',
  'qmgr_message_recipient_minimum',
  'qmgr_clog_warn_time',
  'helpful_warnings',
  'minimal_backoff_time',
  'maximal_backoff_time',
  'maximal_queue_lifetime',
  'bounce_queue_lifetime',
  'delay_warning_time',
  'default_destination_concurrency_limit',
  'default_destination_recipient_limit',
  'default_destination_concurrency_failed_cohort_limit',
  'default_destination_concurrency_positive_feedback',
  'default_destination_concurrency_negative_feedback',
  'default_destination_rate_delay',
  'default_transport_rate_delay',
  'default_delivery_slot_cost',
  'default_delivery_slot_loan',
  'default_delivery_slot_discount',
  'default_minimum_delivery_slots',
  'default_recipient_limit',
  'default_extra_recipient_limit',
  'default_recipient_refill_limit',
  'default_recipient_refill_delay',
  'destination_concurrency_feedback_debug',
  'initial_destination_concurrency',
  'default_process_limit',
  'defer_transports',
  'postfleet_shards',
  'postfleet_lease_time',
  'postfleet_log_grace',
  'postfleet_log_grace_bytes',
  'postfleet_active_memory',
] as const;

export interface TransportSettings extends WindowSettings, PreemptionSettings {
  readonly name: string;
  /** Deliveries at once: maxproc of the master.cf entry; one where a transport_rate_delay is set. */
  readonly processLimit: number;
  /** Recipients in one delivery; 0: no limit. */
  readonly destinationRecipientLimit: number;
  /** Pause between the end of a delivery and the next to the same destination. */
  readonly destinationRateDelayMs: number;
  /** Pause between the end of a delivery and the next of the transport. */
  readonly transportRateDelayMs: number;
  /** Dead destinations that are remembered. */
  readonly deadDestinationLimit: number;
  /** Recipients in memory, over all messages. */
  readonly recipientLimit: number;
  /** Recipients in memory beyond that, for messages that have preempted others. */
  readonly extraRecipientLimit: number;
  /** Recipients of a message that are read in at a time, at least. */
  readonly recipientRefillLimit: number;
  /** Time after which fewer are read in, too. */
  readonly recipientRefillDelayMs: number;
}

export interface QmgrSettings {
  readonly activeLimit: number;
  /** Recipients in memory above which a message brings in no more than `recipientMinimum` at first. */
  readonly recipientLimit: number;
  readonly recipientMinimum: number;
  /** Between two warnings that a destination fills the active queue; 0: none. */
  readonly clogWarnMs: number;
  readonly feedbackDebug: boolean;
  readonly minimalBackoff: number;
  readonly maximalBackoff: number;
  readonly maximalQueueLifetime: number;
  readonly bounceQueueLifetime: number;
  /** 0: no delay notices. */
  readonly delayWarningTime: number;
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
    recipientLimit: configuration.integer('qmgr_message_recipient_limit'),
    recipientMinimum: configuration.integer('qmgr_message_recipient_minimum'),
    clogWarnMs: configuration.boolean('helpful_warnings') ? configuration.seconds('qmgr_clog_warn_time') * 1000 : 0,
    feedbackDebug: configuration.boolean('destination_concurrency_feedback_debug'),
    minimalBackoff: configuration.seconds('minimal_backoff_time'),
    maximalBackoff: configuration.seconds('maximal_backoff_time'),
    maximalQueueLifetime: configuration.seconds('maximal_queue_lifetime'),
    bounceQueueLifetime: configuration.seconds('bounce_queue_lifetime'),
    delayWarningTime: configuration.seconds('delay_warning_time'),
    deferTransports: new Set(configuration.list('defer_transports')),
    shards: configuration.integer('postfleet_shards'),
    leaseSeconds: configuration.seconds('postfleet_lease_time'),
    graceSeconds: configuration.seconds('postfleet_log_grace'),
    graceBytes: configuration.integer('postfleet_log_grace_bytes'),
    activeMemory: configuration.integer('postfleet_active_memory'),
  };
}

const FEEDBACK_NAME = /_destination_concurrency_(?:positive|negative)_feedback$/;

function feedback(configuration: Configuration, name: string): Feedback {
  const text = configuration.text(name);
  const parsed = parseFeedback(text);
  if (parsed !== undefined) return parsed;
  throw new FatalError(
    `${configuration.placeOf(name)}: ${name} = ${text}: bad value, expected a number from 0 to 1, number / number or number / concurrency`,
  );
}

/**
 * Reads the settings of the transports in master.cf, and every feedback that main.cf sets: later, in the midst of mail,
 * would be too late. Throws FatalError for what is wrong.
 */
export function checkTransports(configuration: Configuration): void {
  for (const name of configuration.names()) if (FEEDBACK_NAME.test(name)) feedback(configuration, name);
  for (const { name, type } of configuration.master) if (type === 'unix') transportSettings(configuration, name);
}

/** The settings of one transport: `<transport>_destination_…`, which fall back on `default_destination_…`. */
export function transportSettings(configuration: Configuration, name: string): TransportSettings {
  const maxproc = configuration.master.find((entry) => entry.name === name && entry.type === 'unix')?.maxproc;
  const processLimit = (maxproc ?? configuration.integer('default_process_limit')) || Number.MAX_SAFE_INTEGER;
  const destinationRateDelayMs = configuration.seconds(`${name}_destination_rate_delay`) * 1000;
  const transportRateDelayMs = configuration.seconds(`${name}_transport_rate_delay`) * 1000;
  return {
    name,
    // A pause between deliveries leaves no two of them at once.
    processLimit: transportRateDelayMs > 0 ? 1 : processLimit,
    destinationConcurrencyLimit:
      destinationRateDelayMs > 0 ? 1 : configuration.integer(`${name}_destination_concurrency_limit`),
    destinationRecipientLimit: configuration.integer(`${name}_destination_recipient_limit`),
    initialDestinationConcurrency: configuration.integer(`${name}_initial_destination_concurrency`),
    failedCohortLimit: configuration.integer(`${name}_destination_concurrency_failed_cohort_limit`),
    positiveFeedback: feedback(configuration, `${name}_destination_concurrency_positive_feedback`),
    negativeFeedback: feedback(configuration, `${name}_destination_concurrency_negative_feedback`),
    destinationRateDelayMs,
    transportRateDelayMs,
    deliverySlotCost: configuration.integer(`${name}_delivery_slot_cost`),
    deliverySlotLoan: configuration.integer(`${name}_delivery_slot_loan`),
    deliverySlotDiscount: configuration.integer(`${name}_delivery_slot_discount`),
    minimumDeliverySlots: configuration.integer(`${name}_minimum_delivery_slots`),
    deadDestinationLimit: configuration.integer('qmgr_message_recipient_limit'),
    recipientLimit: configuration.integer(`${name}_recipient_limit`),
    extraRecipientLimit: configuration.integer(`${name}_extra_recipient_limit`),
    recipientRefillLimit: configuration.integer(`${name}_recipient_refill_limit`),
    recipientRefillDelayMs: configuration.seconds(`${name}_recipient_refill_delay`) * 1000,
  };
}
