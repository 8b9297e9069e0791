/**
 * virtual(8): delivers into mailboxes of virtual domains, found by table lookup of the whole recipient address. A mailbox
 * whose location ends in `/` is a maildir, any other one a file in mbox format. The location is
 * `$virtual_mailbox_base/<result of virtual_mailbox_maps>`; virtual_uid_maps and virtual_gid_maps say whose it is.
 *
 * Mail is on disk (message and directory synced) before it is reported sent. A maildir delivery that is repeated after an
 * unknown outcome does not deliver twice (lib/delivery/maildir.ts); an mbox delivery does.
 *
 * Bounces: no mailbox (5.1.1), mailbox or message over virtual_mailbox_limit or quota (5.2.2), forwarding loop (5.4.6).
 * Everything else is deferred. Logs a warning where a table or the rights of a directory need somebody's hand.
 *
 * Run by root, it writes as the owners of the mailboxes; by anybody else, or with postfleet_mailbox_owner, as one user:
 * virtual_uid_maps and virtual_gid_maps then have no effect. virtual_mailbox_lock: see lib/delivery/dotlock.ts.
 */
import type { DeliveryRecipient, DeliveryRequest } from '../../lib/clients/protocols.ts';
import { failureOf } from '../../lib/delivery/failure-of.ts';
import type { MailboxOrder } from '../../lib/delivery/mailbox-order.ts';
import { MAILBOX_PARAMETERS } from '../../lib/delivery/mailbox-settings.ts';
import { MailboxWriters } from '../../lib/delivery/mailbox-writers.ts';
import { maildirName } from '../../lib/delivery/maildir.ts';
import { Message } from '../../lib/delivery/message.ts';
import { deliveryHead } from '../../lib/delivery/message-copy.ts';
import type { Rights } from '../../lib/delivery/rights.ts';
import { failure, success } from '../../lib/mail/dsn.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { type DeliveryHandler, deliveryAgent } from '../../lib/server/delivery-agent.ts';
import { type DeliveryReport, TraceFlag } from '../../lib/server/delivery-report.ts';
import { caseFold } from '../../lib/util/case-fold.ts';
import { findMailbox } from './mailbox.ts';
import { openSettings, VIRTUAL_PARAMETERS, type VirtualSettings } from './settings.ts';

const RELAY = 'virtual';

class VirtualDelivery implements DeliveryHandler {
  readonly #context: ServiceContext;
  readonly #settings: VirtualSettings;
  readonly #writers: MailboxWriters;

  constructor(context: ServiceContext, settings: VirtualSettings) {
    this.#context = context;
    this.#settings = settings;
    this.#writers = new MailboxWriters(context.log);
  }

  async deliver(request: DeliveryRequest, signal: AbortSignal, report: DeliveryReport) {
    const message = new Message(request, this.#context.content, signal);
    for (const recipient of request.recipients) await this.#deliverTo(recipient, request, message, report);
    return report.reply();
  }

  async #deliverTo(
    recipient: DeliveryRecipient,
    request: DeliveryRequest,
    message: Message,
    report: DeliveryReport,
  ): Promise<void> {
    const address = caseFold(recipient.address);
    if (await message.wasDeliveredTo(recipient.address)) {
      report.bounced(recipient, RELAY, failure('failed', '5.4.6', `mail forwarding loop for ${recipient.address}`));
      return;
    }
    const search = await findMailbox(this.#settings, address, this.#context.log);
    if (search.found === 'nothing') {
      report.bounced(recipient, RELAY, failure('failed', '5.1.1', `unknown user: "${address}"`));
    } else if (search.found === 'error') {
      report.deferred(recipient, RELAY, search.dsn);
    } else {
      await this.#write(this.#order(recipient, request, search.path, search.rights), search.rights, {
        recipient,
        message,
        report,
      });
    }
  }

  #order(
    recipient: DeliveryRecipient,
    request: DeliveryRequest,
    path: string,
    rights: Rights | undefined,
  ): MailboxOrder {
    const { sizeLimit, lock, myhostname, originalRecipient, strictOwnership } = this.#settings;
    const original = recipient.originalAddress === '' ? recipient.address : recipient.originalAddress;
    const fields = {
      sender: request.sender,
      returnPath: true,
      ...(originalRecipient ? { originalRecipient: original } : {}),
      deliveredTo: recipient.address,
    };
    if (path.endsWith('/')) {
      const name = maildirName(request.arrivalTime, request.queueId, recipient.offset, myhostname);
      const since = request.arrivalTime / 1000;
      return { format: 'maildir', path: path.replace(/\/+$/, ''), name, since, head: deliveryHead(fields), sizeLimit };
    }
    return {
      format: 'mbox',
      path,
      head: deliveryHead({ ...fields, fromLine: Date.now() }),
      sizeLimit,
      lock,
      makeDirectories: true,
      allowSpecial: false,
      ...(strictOwnership && rights !== undefined ? { owner: rights.uid } : {}),
    };
  }

  async #write(
    order: MailboxOrder,
    rights: Rights | undefined,
    delivery: { recipient: DeliveryRecipient; message: Message; report: DeliveryReport },
  ): Promise<void> {
    const { recipient, message, report } = delivery;
    if ((report.request.traceFlags & TraceFlag.VERIFY_ONLY) !== 0) {
      report.sent(
        recipient,
        RELAY,
        success('delivered', order.format === 'maildir' ? 'delivers to maildir' : 'delivers to mailbox'),
      );
      return;
    }
    const outcome = await this.#writers.write(rights, order, message.content());
    if (outcome.delivered) {
      const what = order.format === 'maildir' ? 'delivered to maildir' : 'delivered to mailbox';
      report.sent(recipient, RELAY, success('delivered', what));
      return;
    }
    const { status, reason } = outcome;
    if (order.format === 'maildir') {
      if (status === '4.2.0') this.#warnOfRights(reason, rights);
      report.failed(recipient, RELAY, failureOf(status, `maildir delivery failed: ${reason}`));
    } else {
      report.failed(recipient, RELAY, failureOf(status, `delivery failed to mailbox ${order.path}: ${reason}`));
    }
  }

  #warnOfRights(reason: string, rights: Rights | undefined): void {
    const uid = rights?.uid ?? process.geteuid?.();
    const gid = rights?.gid ?? process.getegid?.();
    this.#context.log.warning(`maildir access problem for UID/GID=${uid}/${gid}: ${reason}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writers[Symbol.asyncDispose]();
    await this.#settings[Symbol.asyncDispose]();
  }
}

export const service = deliveryAgent({
  name: 'virtual',
  parameters: [...MAILBOX_PARAMETERS, ...VIRTUAL_PARAMETERS],
  async open(context) {
    return new VirtualDelivery(context, await openSettings(context));
  },
});
