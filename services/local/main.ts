/**
 * local(8): delivers to users of this host: system-wide aliases, .forward files, mailboxes in mbox or maildir format,
 * commands, files, and what transports and luser_relay say of the rest. The modules beside this one follow the sections of
 * the man page: alias, expansion, forward (MAIL FORWARDING), mailbox, command (EXTERNAL COMMAND DELIVERY).
 *
 * A recipient is sent when all of it is on disk: mailboxes are synced, forwarded mail is in the incoming log.
 *
 * Run by root it works with the rights of the recipient; mailbox files in mail_spool_directory are made and appended to
 * by root itself. Run by anybody else, everything belongs to that user, and commands run as that user.
 *
 * Bounces: unknown user (5.1.1), loops (5.4.6), restricted destinations (5.7.1), full mailboxes (5.2.2), and what a command
 * says. Everything else is deferred.
 *
 * Limits: biff is not spoken; lock types fcntl and flock are served by lock files (lib/delivery/dotlock.ts); users come
 * from /etc/passwd alone; an alias with several addresses is always submitted as a new message, as Postfix does for one
 * with an owner- alias, so that no member gets mail twice because of another.
 */
import type { DeliveryRequest } from '../../lib/clients/protocols.ts';
import { MAILBOX_PARAMETERS } from '../../lib/delivery/mailbox-settings.ts';
import { MailboxWriters } from '../../lib/delivery/mailbox-writers.ts';
import { Message } from '../../lib/delivery/message.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { type DeliveryHandler, deliveryAgent } from '../../lib/server/delivery-agent.ts';
import type { DeliveryReport } from '../../lib/server/delivery-report.ts';
import { UserDatabase } from '../../lib/util/passwd.ts';
import { RecipientDelivery } from './delivery.ts';
import { LOCAL_PARAMETERS, type LocalSettings, openSettings } from './settings.ts';

class LocalAgent implements DeliveryHandler {
  readonly #context: ServiceContext;
  readonly #settings: LocalSettings;
  readonly #users: UserDatabase;
  readonly #writers: MailboxWriters;

  constructor(context: ServiceContext, settings: LocalSettings, users: UserDatabase) {
    this.#context = context;
    this.#settings = settings;
    this.#users = users;
    this.#writers = new MailboxWriters(context.log);
  }

  async deliver(request: DeliveryRequest, signal: AbortSignal, report: DeliveryReport) {
    const { clients, content, log, name } = this.#context;
    const parts = {
      settings: this.#settings,
      users: this.#users,
      writers: this.#writers,
      rewrite: () => clients.rewrite(),
      log,
      transport: name,
      message: new Message(request, content, signal),
      signal,
    };
    for (const recipient of request.recipients) {
      await new RecipientDelivery(this.#context, parts, request, recipient).deliver(report);
    }
    return report.reply();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writers[Symbol.asyncDispose]();
    await this.#settings[Symbol.asyncDispose]();
  }
}

export const service = deliveryAgent({
  name: 'local',
  parameters: [...MAILBOX_PARAMETERS, ...LOCAL_PARAMETERS],
  async open(context) {
    const users = new UserDatabase();
    return new LocalAgent(context, await openSettings(context, users), users);
  },
});
