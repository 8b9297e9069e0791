/**
 * Carries out what the expansion of a recipient has planned, and makes one status of it.
 *
 * Order: what cannot be done for now defers the recipient before anything is done; forwarding comes first, for it happens
 * once however often it is repeated, then maildirs, for the same reason, then what a repeated attempt would do again:
 * mbox files, commands. Whatever is deferred ends it. The recipient is sent when all parts are, bounced when one is.
 */
import type { DeliveryRecipient, DeliveryRequest, RecipientStatus } from '../../lib/clients/protocols.ts';
import { DeliveryStatus, Unavailable } from '../../lib/clients/protocols.ts';
import { failureOf } from '../../lib/delivery/failure-of.ts';
import type { MailboxOrder } from '../../lib/delivery/mailbox-order.ts';
import { maildirName } from '../../lib/delivery/maildir.ts';
import { copyContent, deliveryHead } from '../../lib/delivery/message-copy.ts';
import { canChangeRights, type Rights } from '../../lib/delivery/rights.ts';
import { runCommand } from '../../lib/delivery/run-command.ts';
import { type Dsn, failure, success } from '../../lib/mail/dsn.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { type DeliveryReport, TraceFlag } from '../../lib/server/delivery-report.ts';
import { TableError } from '../../lib/tables/table.ts';
import { makeCommand } from './command.ts';
import { type ExpansionParts, planDelivery, planRelay } from './expansion.ts';
import { forward } from './forward.ts';
import { expandForRecipient } from './macros.ts';
import { chooseMethod, fileDsn, mailboxDsn, mailboxRights, unknownUser } from './mailbox.ts';
import { passTo } from './pass.ts';
import type { Action, Plan } from './plan.ts';

const RELAY = 'local';

/** What came of one part of a recipient: a status of our own, or that of another agent, already logged. */
type PartOutcome =
  | { readonly address: string; readonly dsn: Dsn }
  | { readonly address: string; readonly adopted: RecipientStatus };

export class RecipientDelivery {
  readonly #context: ServiceContext;
  readonly #parts: ExpansionParts;
  readonly #request: DeliveryRequest;
  readonly #recipient: DeliveryRecipient;
  readonly #verifyOnly: boolean;

  constructor(context: ServiceContext, parts: ExpansionParts, request: DeliveryRequest, recipient: DeliveryRecipient) {
    this.#context = context;
    this.#parts = parts;
    this.#request = request;
    this.#recipient = recipient;
    this.#verifyOnly = (request.traceFlags & TraceFlag.VERIFY_ONLY) !== 0;
  }

  async deliver(report: DeliveryReport): Promise<void> {
    try {
      const plan = await planDelivery(this.#parts, this.#recipient, this.#request.sender);
      this.#report(await this.#carryOut(plan), report);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      report.deferred(this.#recipient, RELAY, failure('delayed', '4.3.0', 'address resolver failure'));
    }
  }

  async #carryOut(plan: Plan): Promise<PartOutcome[]> {
    const later = plan.failures.filter(({ dsn }) => dsn.action === 'delayed');
    if (later.length > 0) return later;
    const outcomes: PartOutcome[] = [];
    for (const [sender, addresses] of plan.forwards) {
      outcomes.push({ address: this.#recipient.address, dsn: await this.#forward(sender, addresses) });
      if (isDeferred(outcomes.at(-1)!)) return outcomes;
    }
    for (const action of plan.actions.toSorted((one, other) => repeatsBadly(one) - repeatsBadly(other))) {
      for (const outcome of await this.#act(action)) {
        outcomes.push(outcome);
        if (isDeferred(outcome)) return outcomes;
      }
    }
    return [...outcomes, ...plan.failures];
  }

  async #forward(sender: string, addresses: ReadonlySet<string>): Promise<Dsn> {
    if (this.#verifyOnly) return success('relayed', `forwards to ${[...addresses].slice(0, 10).join(', ')}`);
    const { settings, message, signal } = this.#parts;
    const deliveredTo = settings.deliveredToIn.has('forward') ? this.#recipient.address : undefined;
    const forwarding = { request: this.#request, recipient: this.#recipient, sender, addresses, deliveredTo };
    return forward(this.#context.clients.cleanup(), forwarding, message, signal);
  }

  async #act(action: Action): Promise<PartOutcome[]> {
    const { address } = action.recipient;
    switch (action.kind) {
      case 'command':
        return [{ address, dsn: await this.#run(action.command, action, this.#externalRights(action)) }];
      case 'file':
        return [{ address, dsn: await this.#writeFile(action.path, action) }];
      default:
        return this.#deliverToMailbox(action);
    }
  }

  async #deliverToMailbox(action: Action): Promise<PartOutcome[]> {
    const { recipient, user } = action;
    const { address } = recipient;
    const { settings } = this.#parts;
    try {
      const method = await chooseMethod(settings, recipient, user);
      switch (method.kind) {
        case 'failure':
          return [{ address, dsn: method.dsn }];
        case 'transport':
          return [await this.#pass(method.destination, action)];
        case 'command': {
          const rights = user === undefined ? undefined : { uid: user.uid, gid: user.gid };
          return [
            { address, dsn: await this.#run(method.command, action, unprivileged(rights, settings.defaultRights)) },
          ];
        }
        case 'relay':
          return await this.#relay(method.value, action);
        default:
          return [{ address, dsn: await this.#writeMailbox(method.path, method.spool, action) }];
      }
    } catch (error) {
      if (!(error instanceof TableError)) throw error;
      return [{ address, dsn: failureOf('4.3.5', 'mail system configuration error') }];
    }
  }

  async #relay(value: string, action: Action): Promise<PartOutcome[]> {
    const { recipient, situation } = action;
    // The relay's own recipient is unknown as well: it ends here.
    if (situation.aliases.length > 0 && situation.aliases.at(-1) === recipient.user) {
      return [{ address: recipient.address, dsn: unknownUser(recipient) }];
    }
    const { forwardFilter } = this.#parts.settings;
    const expanded = expandForRecipient(value, recipient, undefined, forwardFilter);
    return this.#carryOut(await planRelay(this.#parts, expanded, recipient, situation));
  }

  async #pass(destination: string, action: Action): Promise<PartOutcome> {
    const { address, domain } = action.recipient;
    const recipient = this.#asLogged(address);
    const { signal } = this.#parts;
    const status = await passTo(this.#context.clients, destination, this.#request, recipient, domain, signal);
    return 'offset' in status ? { address, adopted: status } : { address, dsn: status };
  }

  /** Commands and files run as whoever named them, never as the superuser. Undefined: as ourselves. */
  #externalRights({ situation }: Action): Rights | undefined {
    return unprivileged(situation.rights, this.#parts.settings.defaultRights);
  }

  #head(action: Action, options: { from: boolean; context: 'command' | 'file' }): Buffer {
    const { originalRecipient, deliveredToIn } = this.#parts.settings;
    const { address, originalAddress } = this.#recipient;
    return deliveryHead({
      sender: action.situation.sender,
      returnPath: true,
      ...(options.from ? { fromLine: Date.now() } : {}),
      ...(originalRecipient ? { originalRecipient: originalAddress === '' ? address : originalAddress } : {}),
      ...(deliveredToIn.has(options.context) ? { deliveredTo: action.situation.deliveredTo } : {}),
    });
  }

  async #run(text: string, action: Action, rights: Rights | undefined): Promise<Dsn> {
    if (this.#verifyOnly) return success('delivered', `delivers to command: ${text}`);
    const { settings, message, signal } = this.#parts;
    const { recipient, situation, user } = action;
    const order = {
      command: text,
      request: this.#request,
      original: this.#recipient,
      recipient,
      sender: situation.sender,
      user,
      rights,
    };
    const head = this.#head(action, { from: true, context: 'command' });
    const content = withHead(head, copyContent(message.content(), {}));
    const outcome = await runCommand(makeCommand(order, settings), content, signal);
    return outcome.delivered ? success('delivered', `delivered to command: ${text}`) : outcome.dsn;
  }

  #order(path: string, action: Action): MailboxOrder {
    const { sizeLimit, lock, myhostname } = this.#parts.settings;
    if (path.endsWith('/')) {
      const { arrivalTime, queueId } = this.#request;
      const name = maildirName(arrivalTime, queueId, this.#recipient.offset, myhostname);
      const head = this.#head(action, { from: false, context: 'file' });
      return { format: 'maildir', path: path.replace(/\/+$/, ''), name, since: arrivalTime / 1000, head, sizeLimit };
    }
    const head = this.#head(action, { from: true, context: 'file' });
    return { format: 'mbox', path, head, sizeLimit, lock, makeDirectories: false, allowSpecial: false };
  }

  async #writeMailbox(path: string, spool: boolean, action: Action): Promise<Dsn> {
    const { settings, writers, message } = this.#parts;
    const { user, recipient } = action;
    let order = this.#order(path, action);
    if (this.#verifyOnly) return success('delivered', `delivers to ${order.format === 'mbox' ? 'mailbox' : 'maildir'}`);
    let rights = mailboxRights(settings, user);
    if (order.format === 'mbox' && rights !== undefined) {
      order = { ...order, ...(settings.strictOwnership ? { owner: rights.uid } : {}) };
      // Users may not make files in the spool directory: the superuser does, and gives them to the user.
      if (spool && canChangeRights()) {
        order = { ...order, giveTo: rights };
        rights = undefined;
      }
    }
    return mailboxDsn(order, await writers.write(rights, order, message.content()), recipient.user);
  }

  async #writeFile(path: string, action: Action): Promise<Dsn> {
    const { writers, message } = this.#parts;
    let order = this.#order(path, action);
    if (this.#verifyOnly) return success('delivered', `delivers to file: ${path}`);
    if (order.format === 'mbox') order = { ...order, allowSpecial: true, lock: { ...order.lock, mayFail: true } };
    return fileDsn(order, await writers.write(this.#externalRights(action), order, message.content()));
  }

  /** The recipient with the address that a part of it goes to. */
  #asLogged(address: string): DeliveryRecipient {
    if (address === this.#recipient.address) return this.#recipient;
    const { originalAddress } = this.#recipient;
    return { ...this.#recipient, address, originalAddress: originalAddress || this.#recipient.address };
  }

  #report(outcomes: readonly PartOutcome[], report: DeliveryReport): void {
    if (outcomes.length === 0) {
      // All destinations were duplicates of each other, or there was none.
      report.sent(this.#recipient, RELAY, success('delivered', 'no destination is left'));
      return;
    }
    const worst = outcomes.reduce((one, other) => (severity(other) >= severity(one) ? other : one));
    for (const outcome of outcomes) {
      if (outcome !== worst && 'dsn' in outcome) report.part(this.#asLogged(outcome.address), RELAY, outcome.dsn);
    }
    if ('adopted' in worst) {
      report.adopt(worst.adopted);
      return;
    }
    const recipient = this.#asLogged(worst.address);
    if (worst.dsn.action === 'failed' || worst.dsn.action === 'delayed') report.failed(recipient, RELAY, worst.dsn);
    else report.sent(recipient, RELAY, worst.dsn);
  }
}

async function* withHead(head: Buffer, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* content;
}

function unprivileged(rights: Rights | undefined, defaultRights: Rights): Rights | undefined {
  if (!canChangeRights()) return undefined;
  return rights === undefined || rights.uid === 0 ? defaultRights : rights;
}

function repeatsBadly(action: Action): number {
  return action.kind === 'mailbox' ? 0 : action.kind === 'file' ? 1 : 2;
}

function isDeferred(outcome: PartOutcome): boolean {
  return severity(outcome) === 2;
}

/** 0 sent, 1 bounced, 2 deferred. */
function severity(outcome: PartOutcome): number {
  if ('adopted' in outcome) {
    const { status } = outcome.adopted;
    return status === DeliveryStatus.SENT ? 0 : status === DeliveryStatus.BOUNCED ? 1 : 2;
  }
  const { action } = outcome.dsn;
  return action === 'delayed' ? 2 : action === 'failed' ? 1 : 0;
}
