/**
 * A delivery request on its way through servers: which recipients are still to be delivered, whether another server is
 * left to try, and what is said of a recipient when one is refused or a server fails.
 *
 * Trouble for good ends a recipient at once. Temporary trouble ends it only with the last server that may be tried; until
 * then it is logged, and the recipient stays for the next.
 */
import type { DeliveryRecipient, DeliveryReply, DeliveryRequest } from '../../lib/clients/protocols.ts';
import type { Dsn } from '../../lib/mail/dsn.ts';
import type { DeliveryReport } from '../../lib/server/delivery-report.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Trouble } from './trouble.ts';

const NOBODY: ReadonlyMap<DeliveryRecipient, string> = new Map();

export class Delivery {
  /** The request, with sender and content as the server is to get them. */
  readonly request: DeliveryRequest;
  readonly report: DeliveryReport;
  /** Recipients without an outcome. */
  remaining: DeliveryRecipient[];
  /** No other server is tried after this one. */
  isFinal = false;
  readonly #outside: ReadonlyMap<DeliveryRecipient, string>;
  readonly #log: Log;
  #unavailable: Dsn | undefined;

  /** `outside`: recipients that the server is to know under another address (generic(5)). */
  constructor(
    request: DeliveryRequest,
    report: DeliveryReport,
    log: Log,
    outside: ReadonlyMap<DeliveryRecipient, string> = NOBODY,
  ) {
    this.#outside = outside;
    this.request = request;
    this.report = report;
    this.remaining = [...request.recipients];
    this.#log = log;
  }

  /** The address of a recipient in commands. */
  addressOf(recipient: DeliveryRecipient): string {
    return this.#outside.get(recipient) ?? recipient.address;
  }

  get isDone(): boolean {
    return this.remaining.length === 0;
  }

  /** `handedOn`: the server reports success itself (RFC 3461). */
  sent(recipient: DeliveryRecipient, relay: string, dsn: Dsn, handedOn: boolean): void {
    this.#finish(recipient);
    if (handedOn) this.report.handedOn(recipient, relay, dsn);
    else this.report.sent(recipient, relay, dsn);
  }

  /** One recipient was refused. */
  recipientFailed(recipient: DeliveryRecipient, relay: string, trouble: Trouble): void {
    if (trouble.isTemporary && !this.isFinal) {
      this.#note(trouble);
      return;
    }
    this.#finish(recipient);
    this.report.failed(recipient, relay, trouble.dsn);
  }

  /** The message was refused for these recipients, or the server failed. */
  failed(recipients: readonly DeliveryRecipient[], relay: string, trouble: Trouble): void {
    if (trouble.isTemporary && !this.isFinal) {
      this.#note(trouble);
      return;
    }
    this.failedForGood(recipients, relay, trouble);
  }

  /** The same, and no other server is to be tried, whichever kind of trouble it is. */
  failedForGood(recipients: readonly DeliveryRecipient[], relay: string, trouble: Trouble): void {
    if (trouble.site && trouble.isTemporary) this.#unavailable ??= trouble.dsn;
    // What is finished leaves `remaining`, which may be the very list that is walked.
    for (const recipient of recipients.slice()) {
      this.#finish(recipient);
      this.report.failed(recipient, relay, trouble.dsn);
    }
  }

  reply(): DeliveryReply {
    return this.report.reply(this.#unavailable);
  }

  #note(trouble: Trouble): void {
    this.#log.info(`${this.request.queueId}: ${trouble.dsn.reason}`);
  }

  #finish(recipient: DeliveryRecipient): void {
    const at = this.remaining.indexOf(recipient);
    if (at >= 0) this.remaining.splice(at, 1);
  }
}
