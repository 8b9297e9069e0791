/**
 * One mail transaction over a session: MAIL, RCPT, DATA, content (RFC 5321 section 3.3). Where the server offers PIPELINING
 * the commands go out in one write and the content with its dot in another; else command by command (RFC 2920).
 *
 * With LMTP the server answers once for each accepted recipient at the end of data (RFC 2033 section 4.2). A request that
 * only verifies recipients stops before DATA.
 *
 * When the connection is lost after the end of data was sent, or no answer comes, nobody knows whether the server has the
 * message: the recipients are deferred and no other server is tried.
 */
import type { DeliveryRecipient } from '../../lib/clients/protocols.ts';
import { type Dsn, success } from '../../lib/mail/dsn.ts';
import { ContentMissing, type ContentReader } from '../../lib/queue/content.ts';
import { TraceFlag } from '../../lib/server/delivery-report.ts';
import { type Breakdown, isBreakdown } from '../../lib/smtp/client-connection.ts';
import { ContentEncoder } from '../../lib/smtp/client-content.ts';
import { type Reply, replyOnOneLine } from '../../lib/smtp/client-reply.ts';
import type { Log } from '../../lib/util/log.ts';
import { type CommandOptions, isAscii, isSendable, mailCommand, rcptCommand } from './commands.ts';
import type { Delivery } from './delivery.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import { breakdownTrouble, messageTrouble, namedAddress, replyStatus, said, type Trouble } from './trouble.ts';

export interface TransactionContext {
  readonly settings: Settings;
  readonly content: ContentReader;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Headers to send in front of the content. */
  readonly head: Buffer | undefined;
  /** What a delivered recipient is reported as: the delivery is final, or goes on from there. */
  readonly sentAction: (session: Session) => 'relayed' | 'delivered';
}

/** `stale`: a cached session turned out to be dead before it said anything; nothing was delivered or reported. */
export type TransactionEnd = 'over' | 'stale';

const MOST_LOGGED_NONSENSE = 100;

const SENDING_END = 'sending end of data -- message may be sent more than once';

export async function transact(
  session: Session,
  delivery: Delivery,
  context: TransactionContext,
): Promise<TransactionEnd> {
  return new Transaction(session, delivery, context).run();
}

/** Is SMTPUTF8 indispensable: is there anything in the envelope or the header that is not ASCII? */
function requiresSmtputf8(delivery: Delivery): boolean {
  const { request } = delivery;
  if (!request.smtputf8) return false;
  if (!isAscii(request.sender) || delivery.remaining.some((recipient) => !isAscii(delivery.addressOf(recipient))))
    return true;
  if (request.content.length === 0) return request.contentSize > 0;
  const headerEnd = request.content.indexOf('\n\n');
  const header = headerEnd < 0 ? request.content : request.content.subarray(0, headerEnd);
  return header.some((byte) => byte > 127);
}

class Transaction {
  readonly #session: Session;
  readonly #delivery: Delivery;
  readonly #context: TransactionContext;
  readonly #settings: Settings;
  readonly #commandOptions: CommandOptions;
  readonly #verifyOnly: boolean;
  #isReused = false;
  readonly #accepted: DeliveryRecipient[] = [];

  constructor(session: Session, delivery: Delivery, context: TransactionContext) {
    this.#session = session;
    this.#delivery = delivery;
    this.#context = context;
    this.#settings = context.settings;
    this.#commandOptions = { features: session.features, quote: context.settings.quoteEnvelope };
    this.#verifyOnly = (delivery.request.traceFlags & TraceFlag.VERIFY_ONLY) !== 0;
  }

  async run(): Promise<TransactionEnd> {
    const delivery = this.#delivery;
    this.#isReused = this.#session.uses > 0;
    this.#session.uses++;
    delivery.report.connectionUse = this.#session.uses;
    const impossible = this.#impossible();
    if (impossible !== undefined) {
      delivery.failed(delivery.remaining, this.#session.relay, impossible);
      return 'over';
    }
    const recipients = this.#sendableRecipients();
    if (recipients.length === 0) return 'over';
    return (await this.#sender(recipients)) ?? (await this.#recipients(recipients)) ?? this.#data();
  }

  /** RSET where it is due, and MAIL, with all that may go ahead; undefined where the transaction goes on. */
  async #sender(recipients: readonly DeliveryRecipient[]): Promise<TransactionEnd | undefined> {
    const { connection, features, needsReset } = this.#session;
    const { request } = this.#delivery;
    const mail = mailCommand(request, request.contentSize, this.#commandOptions);
    if (features.pipelining) {
      let commands = needsReset ? `RSET\r\n${mail}` : mail;
      for (const recipient of recipients) commands += this.#rcpt(recipient);
      if (!this.#verifyOnly) commands += 'DATA\r\n';
      connection.write(commands);
    } else {
      connection.write(needsReset ? 'RSET\r\n' : mail);
    }
    if (needsReset) {
      const reply = await this.#reply(this.#settings.rsetTimeout);
      if (isBreakdown(reply) || reply.code !== 250) return this.#stale();
      this.#session.needsReset = false;
      if (!features.pipelining) connection.write(mail);
    }
    return this.#senderReply(recipients);
  }

  #rcpt(recipient: DeliveryRecipient): string {
    return rcptCommand(recipient, this.#commandOptions, this.#delivery.addressOf(recipient));
  }

  async #senderReply(recipients: readonly DeliveryRecipient[]): Promise<TransactionEnd | undefined> {
    const reply = await this.#reply(this.#settings.mailTimeout);
    if (isBreakdown(reply)) {
      if (this.#isReused && reply === 'lost') return this.#stale();
      return this.#lost(reply, 'sending MAIL FROM', recipients);
    }
    if (this.#isReused && reply.code === 421) return this.#stale();
    if (Math.floor(reply.code / 100) === 2) {
      this.#session.needsReset = true;
      return undefined;
    }
    this.#note(reply);
    this.#delivery.failed(recipients, this.#session.relay, said(this.#session.peer, reply, 'MAIL FROM'));
    return this.#session.features.pipelining ? this.#abandon(recipients.length) : 'over';
  }

  /** RCPT and its replies; undefined where the transaction goes on. */
  async #recipients(recipients: readonly DeliveryRecipient[]): Promise<TransactionEnd | undefined> {
    const { connection, features, peer, relay } = this.#session;
    for (const recipient of recipients) {
      if (!features.pipelining) connection.write(this.#rcpt(recipient));
      const reply = await this.#reply(this.#settings.rcptTimeout);
      if (isBreakdown(reply)) return this.#lost(reply, 'sending RCPT TO', this.#undone(recipients));
      if (Math.floor(reply.code / 100) === 2) {
        this.#accepted.push(recipient);
        if (this.#verifyOnly) this.#sent(recipient, reply);
        continue;
      }
      this.#note(reply);
      this.#delivery.recipientFailed(recipient, relay, said(peer, reply, 'RCPT TO'));
    }
    if (this.#verifyOnly) return 'over';
    if (features.pipelining) return undefined;
    if (this.#accepted.length === 0) return 'over';
    connection.write('DATA\r\n');
    return undefined;
  }

  /** The server has given up a session that it kept for us. */
  #stale(): 'stale' {
    this.#session.unusable = true;
    return 'stale';
  }

  /** Recipients of this transaction that have no outcome. */
  #undone(recipients: readonly DeliveryRecipient[]): DeliveryRecipient[] {
    return recipients.filter((recipient) => this.#delivery.remaining.includes(recipient));
  }

  /** Why this server cannot take the message, as far as its offers tell. */
  #impossible(): Trouble | undefined {
    const { features, peer } = this.#session;
    const { request } = this.#delivery;
    if (features.sizeLimit > 0 && request.contentSize > features.sizeLimit) {
      return messageTrouble(
        '5.3.4',
        `message size ${request.contentSize} exceeds size limit ${features.sizeLimit} of server ${namedAddress(peer)}`,
      );
    }
    if (!features.smtputf8 && requiresSmtputf8(this.#delivery)) {
      return messageTrouble('5.6.7', `SMTPUTF8 is required, but was not offered by host ${namedAddress(peer)}`);
    }
    if (!isSendable(request.sender)) return messageTrouble('5.1.7', 'bad sender address syntax');
    return undefined;
  }

  /** The recipients to name to the server; those whose address cannot stand in a command are done with. */
  #sendableRecipients(): DeliveryRecipient[] {
    const unsendable = this.#delivery.remaining.filter((recipient) => !isSendable(this.#delivery.addressOf(recipient)));
    for (const recipient of unsendable) {
      const trouble = messageTrouble('5.1.3', 'bad recipient address syntax');
      this.#delivery.recipientFailed(recipient, this.#session.relay, trouble);
    }
    return this.#delivery.remaining.slice();
  }

  #reply(timeout: number): Promise<Reply | Breakdown> | Reply {
    const { connection } = this.#session;
    const here = connection.takeReply();
    if (here !== undefined && connection.heardNothingElse) return here;
    return this.#replyAfterNonsense(here, timeout);
  }

  async #replyAfterNonsense(here: Reply | undefined, timeout: number): Promise<Reply | Breakdown> {
    const { connection, relay, features } = this.#session;
    const reply = here ?? (await connection.reply(timeout));
    const nonsense = connection.takeNonsense();
    if (nonsense !== undefined) {
      const kind = this.#settings.protocol === 'lmtp' ? 'LMTP' : features.esmtp ? 'ESMTP' : 'SMTP';
      const text = nonsense.slice(0, MOST_LOGGED_NONSENSE);
      this.#context.log.warning(`${this.#delivery.request.queueId}: non-${kind} response from ${relay}: ${text}`);
    }
    return reply;
  }

  /** 421 announces that the server closes. */
  #note(reply: Reply): void {
    if (reply.code === 421) this.#session.unusable = true;
  }

  #lost(breakdown: Breakdown, activity: string, recipients: readonly DeliveryRecipient[]): 'over' {
    this.#session.unusable = true;
    this.#delivery.failed(recipients, this.#session.relay, breakdownTrouble(this.#session.peer, breakdown, activity));
    return 'over';
  }

  /** Takes the replies to commands that were sent ahead of a MAIL that failed. */
  async #abandon(recipients: number): Promise<'over'> {
    for (let taken = 0; taken < recipients; taken++) {
      const reply = await this.#reply(this.#settings.rcptTimeout);
      if (isBreakdown(reply)) return 'over';
    }
    if (this.#verifyOnly) return 'over';
    const reply = await this.#reply(this.#settings.dataInitTimeout);
    if (!isBreakdown(reply) && reply.code === 354) await this.#endEmptyData();
    return 'over';
  }

  /** The server wants content although it took no recipient: it gets none. */
  async #endEmptyData(): Promise<void> {
    this.#session.connection.write('.\r\n');
    await this.#reply(this.#settings.dataDoneTimeout);
  }

  async #data(): Promise<'over'> {
    const reply = await this.#reply(this.#settings.dataInitTimeout);
    if (isBreakdown(reply)) return this.#lost(reply, 'sending DATA command', this.#accepted);
    const goAhead = Math.floor(reply.code / 100) === 3;
    if (this.#accepted.length === 0) {
      if (goAhead) await this.#endEmptyData();
      else this.#note(reply);
      return 'over';
    }
    if (!goAhead) {
      this.#note(reply);
      this.#delivery.failed(this.#accepted, this.#session.relay, said(this.#session.peer, reply, 'DATA'));
      return 'over';
    }
    return this.#content();
  }

  async #content(): Promise<'over'> {
    const { connection } = this.#session;
    const { request } = this.#delivery;
    const encoder = new ContentEncoder(this.#settings.lineLengthLimit);
    if (this.#context.head !== undefined) connection.write(encoder.encode(this.#context.head));
    if (request.content.length > 0 || request.contentSize === 0) {
      const interruption = await this.#send(encoder.whole(request.content));
      if (interruption !== undefined) return interruption;
    } else {
      const interruption = await this.#stream(encoder);
      if (interruption !== undefined) return interruption;
      connection.write(encoder.end());
    }
    if (encoder.hasBroken) {
      const limit = this.#settings.lineLengthLimit;
      this.#context.log.info(`${request.queueId}: breaking line > ${limit} bytes with <CR><LF>SPACE`);
    }
    return this.#settings.protocol === 'lmtp' ? this.#lmtpEnd() : this.#smtpEnd();
  }

  /** Sends content piece by piece; undefined where it all went out. */
  async #stream(encoder: ContentEncoder): Promise<'over' | undefined> {
    try {
      for await (const piece of this.#context.content.read(this.#delivery.request, this.#context.signal)) {
        const interruption = await this.#send(encoder.encode(piece));
        if (interruption !== undefined) return interruption;
      }
    } catch (error) {
      // The server must not take a part for the whole: without the dot it throws away what it has.
      this.#session.unusable = true;
      this.#session.connection.close();
      if (error instanceof ContentMissing) throw error;
      throw new Error(`reading message content: ${String(error)}`, { cause: error });
    }
    return undefined;
  }

  /** Sends bytes of the content, waiting where the server is slow; undefined where the conversation goes on. */
  async #send(bytes: Buffer): Promise<'over' | undefined> {
    const { connection, peer, relay } = this.#session;
    if (connection.write(bytes)) return undefined;
    const breakdown = await connection.drained(this.#settings.dataXferTimeout);
    if (breakdown === undefined) return undefined;
    // A server that has had enough says so before it closes.
    const early = connection.takeReply();
    if (early === undefined) return this.#lost(breakdown, 'sending message body', this.#accepted);
    this.#session.unusable = true;
    this.#delivery.failed(this.#accepted, relay, said(peer, early, 'end of DATA'));
    return 'over';
  }

  async #smtpEnd(): Promise<'over'> {
    const reply = await this.#reply(this.#settings.dataDoneTimeout);
    if (isBreakdown(reply)) return this.#lostAtEnd(reply, this.#accepted);
    this.#session.needsReset = false;
    this.#note(reply);
    if (Math.floor(reply.code / 100) === 2) {
      for (const recipient of this.#accepted) this.#sent(recipient, reply);
    } else {
      this.#delivery.failed(this.#accepted, this.#session.relay, said(this.#session.peer, reply, 'end of DATA'));
    }
    return 'over';
  }

  async #lmtpEnd(): Promise<'over'> {
    for (const [at, recipient] of this.#accepted.entries()) {
      const reply = await this.#reply(this.#settings.dataDoneTimeout);
      if (isBreakdown(reply)) return this.#lostAtEnd(reply, this.#accepted.slice(at));
      this.#note(reply);
      if (Math.floor(reply.code / 100) === 2) this.#sent(recipient, reply);
      else {
        const trouble = said(this.#session.peer, reply, 'end of DATA');
        this.#delivery.recipientFailed(recipient, this.#session.relay, trouble);
      }
    }
    this.#session.needsReset = false;
    return 'over';
  }

  #lostAtEnd(breakdown: Breakdown, recipients: readonly DeliveryRecipient[]): 'over' {
    this.#session.unusable = true;
    const trouble = breakdownTrouble(this.#session.peer, breakdown, SENDING_END);
    this.#delivery.failedForGood(recipients, this.#session.relay, trouble);
    return 'over';
  }

  #sent(recipient: DeliveryRecipient, reply: Reply): void {
    const text = replyOnOneLine(reply);
    const dsn = success(this.#context.sentAction(this.#session), text);
    const outcome: Dsn = {
      ...dsn,
      status: replyStatus(reply),
      diagnosticType: 'smtp',
      diagnosticText: text,
      remoteMta: { type: 'dns', name: this.#session.peer.name },
    };
    this.#delivery.sent(recipient, this.#session.relay, outcome, this.#session.features.dsn);
  }
}
