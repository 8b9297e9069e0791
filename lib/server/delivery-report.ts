/**
 * What a delivery agent says of a delivery request: a status for each recipient, for qmgr, and the log line of each in
 * the form that mail log readers know:
 *
 *     QUEUEID: to=<user@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=2.0.0,
 *     status=sent (250 2.0.0 Ok)
 *
 * `delay` runs from the arrival of the message; `delays` are the time before it became active, the time in the active
 * queue, the time to set up a connection, and the time to transmit it. With soft_bounce what would be bounced is deferred and
 * logged as SOFTBOUNCE. A request that only verifies (sendmail -bv) is logged as deliverable or undeliverable.
 */
import type {
  DeliveryRecipient,
  DeliveryReply,
  DeliveryRequest,
  RecipientStatus,
  StatusNotification,
} from '../clients/protocols.ts';
import { DeliveryStatus } from '../clients/protocols.ts';
import type { Dsn } from '../mail/dsn.ts';
import { withStatusClass } from '../mail/enhanced-status.ts';
import { quote822Local } from '../mail/quote822.ts';
import { formatSeconds } from '../util/format-time.ts';
import type { Log } from '../util/log.ts';

/** Bits of `trace_flags`. */
export const TraceFlag = { VERIFY_ONLY: 1, REPORT: 2 } as const;

export interface ReportSettings {
  /** delay_logging_resolution_limit */
  readonly delayDecimals: number;
  /** soft_bounce */
  readonly softBounce: boolean;
  /** info_log_address_format is "external": addresses are logged as they stand in message headers. */
  readonly externalAddresses: boolean;
}

/** Counted by transport; the methods of a prom-client counter with its labels bound. */
export interface ReportCounters {
  delivered(count: number): void;
  deferred(count: number): void;
  bounced(count: number): void;
}

const SIGNIFICANT_DIGITS = 2;

function microsecondsNow(): number {
  return Date.now() * 1000;
}

export function toNotification(dsn: Dsn): StatusNotification {
  return {
    status: dsn.status,
    action: dsn.action,
    reason: dsn.reason,
    diagnosticType: dsn.diagnosticType ?? '',
    diagnosticText: dsn.diagnosticText ?? '',
    remoteMta: dsn.remoteMta?.name ?? '',
  };
}

export class DeliveryReport {
  readonly request: DeliveryRequest;
  /** How often the connection was used, this time included; logged from the second use on. */
  connectionUse = 1;
  readonly #log: Log;
  readonly #settings: ReportSettings;
  readonly #counters: ReportCounters;
  readonly #handoff = microsecondsNow();
  #connected = 0;
  readonly #statuses: RecipientStatus[] = [];

  constructor(request: DeliveryRequest, log: Log, settings: ReportSettings, counters: ReportCounters) {
    this.request = request;
    this.#log = log;
    this.#settings = settings;
    this.#counters = counters;
  }

  /** The connection stands, or could not be had: what comes after counts as transmission. */
  connected(): void {
    this.#connected = microsecondsNow();
  }

  /** Recipients that have no status yet. */
  undone(): DeliveryRecipient[] {
    if (this.#statuses.length === 0) return this.request.recipients;
    const done = new Set(this.#statuses.map((status) => status.offset));
    return this.request.recipients.filter((recipient) => !done.has(recipient.offset));
  }

  /** `relay` as logged: `host[address]:port`, `local`, `none`. */
  sent(recipient: DeliveryRecipient, relay: string, dsn: Dsn): void {
    this.#counters.delivered(1);
    this.#record(recipient, relay, dsn, DeliveryStatus.SENT, this.#verifyOnly() ? 'deliverable' : 'sent');
  }

  /** The same to a server that does DSN (RFC 3461): whoever wants to know of success is told by that one. */
  handedOn(recipient: DeliveryRecipient, relay: string, dsn: Dsn): void {
    this.sent(recipient, relay, dsn);
    this.#statuses.at(-1)!.notification!.action = '';
  }

  deferred(recipient: DeliveryRecipient, relay: string, dsn: Dsn): void {
    this.#counters.deferred(1);
    this.#record(recipient, relay, dsn, DeliveryStatus.DEFERRED, this.#verifyOnly() ? 'undeliverable' : 'deferred');
  }

  bounced(recipient: DeliveryRecipient, relay: string, dsn: Dsn): void {
    if (this.#settings.softBounce && !this.#verifyOnly()) {
      this.#counters.deferred(1);
      const soft: Dsn = { ...dsn, status: withStatusClass(dsn.status, '4'), action: 'delayed' };
      this.#record(recipient, relay, soft, DeliveryStatus.DEFERRED, 'SOFTBOUNCE');
      return;
    }
    this.#counters.bounced(1);
    this.#record(recipient, relay, dsn, DeliveryStatus.BOUNCED, this.#verifyOnly() ? 'undeliverable' : 'bounced');
  }

  /** Deferred or bounced, as the class of the status code says. */
  failed(recipient: DeliveryRecipient, relay: string, dsn: Dsn): void {
    if (dsn.status.startsWith('5')) this.bounced(recipient, relay, { ...dsn, action: 'failed' });
    else this.deferred(recipient, relay, { ...dsn, action: 'delayed' });
  }

  /**
   * The reply to qmgr. `destinationUnavailable` says why the destination as a whole could not be used; it is left out
   * where it could.
   */
  reply(destinationUnavailable?: Dsn): DeliveryReply {
    return {
      recipients: this.#statuses,
      destinationUnavailable: destinationUnavailable === undefined ? undefined : toNotification(destinationUnavailable),
      refused: false,
    };
  }

  #verifyOnly(): boolean {
    return (this.request.traceFlags & TraceFlag.VERIFY_ONLY) !== 0;
  }

  /**
   * The log line of a destination that is only a part of a recipient: the members of an alias have a line each, the alias
   * has one status.
   */
  part(recipient: DeliveryRecipient, relay: string, dsn: Dsn): void {
    this.#line(
      recipient,
      relay,
      dsn,
      dsn.action === 'failed' ? 'bounced' : dsn.action === 'delayed' ? 'deferred' : 'sent',
    );
  }

  /** Takes over the status that another agent, asked by this one, has given and logged. */
  adopt(status: RecipientStatus): void {
    this.#statuses.push(status);
  }

  #record(recipient: DeliveryRecipient, relay: string, dsn: Dsn, status: DeliveryStatus, word: string): void {
    this.#statuses.push({ offset: recipient.offset, status, notification: toNotification(dsn) });
    this.#line(recipient, relay, dsn, word);
  }

  #line(recipient: DeliveryRecipient, relay: string, dsn: Dsn, word: string): void {
    const original =
      recipient.originalAddress !== '' && recipient.originalAddress !== recipient.address
        ? ` orig_to=<${this.#logged(recipient.originalAddress)}>,`
        : '';
    const use = this.connectionUse > 1 ? ` conn_use=${this.connectionUse},` : '';
    this.#log.info(
      `${this.request.queueId}: to=<${this.#logged(recipient.address)}>,${original} relay=${relay},${use} ${this.#delays()}, dsn=${dsn.status}, status=${word} (${dsn.reason})`,
    );
  }

  #logged(address: string): string {
    return this.#settings.externalAddresses ? quote822Local(address) : address;
  }

  #delays(): string {
    const { arrivalTime, activeTime } = this.request;
    const end = microsecondsNow();
    const show = (from: number, to: number) =>
      formatSeconds(to - from, SIGNIFICANT_DIGITS, this.#settings.delayDecimals);
    const connection = this.#connected === 0 ? '0' : show(this.#handoff, this.#connected);
    const transmission = show(this.#connected === 0 ? this.#handoff : this.#connected, end);
    return `delay=${show(arrivalTime, end)}, delays=${show(arrivalTime, activeTime)}/${show(activeTime, this.#handoff)}/${connection}/${transmission}`;
  }
}
