/**
 * From a request to the notices in the incoming log: reads the message's log in pages, composes what is due, and submits it
 * through cleanup(8) under a key that makes each notice happen once, however often the request is repeated.
 *
 * A page of recipients makes a notice of its own: a message with very many failed recipients is answered by several.
 */
import { createHash } from 'node:crypto';
import type { Pool } from 'pg';
import {
  Envelope,
  type NoticeReply,
  type NoticeRequest,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
} from '../../lib/clients/protocols.ts';
import { type AttachedOriginal, composeBounce, type ReportedRecipient } from '../../lib/mail/bounce-message.ts';
import { mailDate } from '../../lib/mail/date.ts';
import { createQueueIdGenerator } from '../../lib/mail/queue-id.ts';
import { receivedHeader } from '../../lib/mail/received.ts';
import { ContentMissing } from '../../lib/queue/content.ts';
import { keyText, type MessageKey } from '../../lib/queue/message-key.ts';
import {
  type BounceLogKind,
  type BounceLogRecord,
  bounceLogPage,
  type NoticedMessage,
  noticedMessages,
} from '../../lib/queue/sql/bounce-log.ts';
import { readStoredMessage, type StoredMessage } from '../../lib/queue/stored-message.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { decodeXtext } from '../../lib/smtp/xtext.ts';
import { attachedOriginal } from './original.ts';
import { type Noticed, type PlannedNotice, planNotices, verpAddress, wantsNotice } from './plan.ts';
import type { BounceSettings } from './settings.ts';

/** Recipients in one notice. */
const PAGE = 500;

const NONE_DUE: NoticeReply = { done: true, queueId: '', reason: '' };

/** Words of log lines, by template. */
const LOG_TEXT = {
  failure: 'non-delivery notification',
  delay: 'delay notification',
  success: 'delivery status notification',
  verify: 'delivery status notification',
} as const;

const KIND_WORDS = { 1: 'bounce', 2: 'delay', 3: 'trace' } as const;

function statusName(status: SubmitStatus): string {
  return Object.entries(SubmitStatus).find(([, value]) => value === status)?.[0] ?? String(status);
}

/** The notice cannot be kept at present; the request is to be repeated. */
class NotKept extends Error {
  override readonly name = 'NotKept';
}

/** A message, and what its notices are made of. */
interface Subject {
  readonly key: MessageKey;
  readonly kind: BounceLogKind;
  readonly queueId: string;
  readonly stored: StoredMessage;
  readonly noticed: Noticed;
}

export class Notifier {
  readonly #context: ServiceContext;
  readonly #settings: BounceSettings;
  readonly #newQueueId = createQueueIdGenerator();

  constructor(context: ServiceContext, settings: BounceSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  /** The notices of one message. `found` is its row; undefined where it is not in the queue any more. */
  async notify(request: NoticeRequest, found: NoticedMessage | undefined, pool: Pool): Promise<NoticeReply> {
    if (found === undefined) return NONE_DUE;
    try {
      return await this.#notices(request, found, pool);
    } catch (error) {
      if (!(error instanceof NotKept) && !(error instanceof ContentMissing)) throw error;
      this.#context.log.warning(`${found.queueId}: notification deferred: ${error.message}`);
      return { done: false, queueId: '', reason: error.message };
    }
  }

  async #notices(request: NoticeRequest, found: NoticedMessage, pool: Pool): Promise<NoticeReply> {
    const kind = request.kind as BounceLogKind;
    const key = { log: found.log, sequence: found.sequence, entry: found.entry };
    let records = await bounceLogPage(pool, key, kind, -1, PAGE);
    if (records.length === 0) return NONE_DUE;

    const stored = await this.#read(found, key, pool);
    const { envelope } = stored;
    const { sender, dsnRet, traceFlags, verpDelimiters } = envelope;
    const noticed: Noticed = { kind: request.kind, sender, dsnRet, traceFlags, verpDelimiters };
    const plan = planNotices(noticed, this.#settings);
    if (plan === 'discard') {
      this.#context.log.warning(`${found.queueId}: undeliverable postmaster notification discarded`);
      return NONE_DUE;
    }
    if (plan.length === 0) return NONE_DUE;

    const subject: Subject = { key, kind, queueId: found.queueId, stored, noticed };
    const originals = new Map<string, Promise<AttachedOriginal>>();
    let first = '';
    const span = this.#context.tracing.start('bounce', envelope.traceparent);
    try {
      while (records.length > 0) {
        for (const notice of plan) {
          const wanted = records.filter((record) => wantsNotice(record.dsnNotify, notice.filter));
          for (const group of notice.verp ? wanted.map((record) => [record]) : [wanted]) {
            if (group.length === 0) continue;
            const original = this.#original(originals, stored, notice);
            const queueId = await this.#submit(subject, notice, group, await original, span?.traceparent);
            if (first === '') first = queueId;
          }
        }
        if (records.length < PAGE) break;
        records = await bounceLogPage(pool, key, kind, records.at(-1)!.recipient, PAGE);
      }
    } finally {
      span?.end();
    }
    return { done: true, queueId: first, reason: '' };
  }

  /** The message, looked up a second time where it moved in between. */
  async #read(found: NoticedMessage, key: MessageKey, pool: Pool): Promise<StoredMessage> {
    const { entries, content } = this.#context;
    const stored = await readStoredMessage(entries, content, found.at, found.queueId);
    if (stored !== undefined) return stored;
    const again = (await noticedMessages(pool, [key])).get(keyText(key));
    const moved = again && (await readStoredMessage(entries, content, again.at, again.queueId));
    if (moved === undefined) throw new NotKept('the message is not where its row says');
    return moved;
  }

  #original(made: Map<string, Promise<AttachedOriginal>>, stored: StoredMessage, notice: PlannedNotice) {
    let original = made.get(notice.original);
    if (original === undefined) {
      const { content, signal } = this.#context;
      original = attachedOriginal(content, stored, notice.original, this.#settings.sizeLimit, signal);
      made.set(notice.original, original);
    }
    return original;
  }

  async #submit(
    subject: Subject,
    notice: PlannedNotice,
    records: readonly BounceLogRecord[],
    original: AttachedOriginal,
    traceparent: string | undefined,
  ): Promise<string> {
    const settings = this.#settings;
    const { envelope } = subject.stored;
    const { template, introduction } = settings.templates[notice.template];
    const arrivalTime = envelope.arrivalTime / 1000;
    const retry = notice.template === 'delay' ? { willRetryUntil: arrivalTime + settings.queueLifetime * 1000 } : {};
    const recipients = records.map(reported);
    const to = notice.verp ? verpAddress(notice.to, recipients[0]!.address, envelope.verpDelimiters) : notice.to;
    const now = Date.now();
    const queueId = this.#newQueueId(BigInt(now) * 1000n);
    const { myhostname, mailName } = settings;
    const notified = composeBounce({
      template,
      introduction: notice.audience === 'postmaster' ? [] : introduction,
      postmasterCopy: notice.audience === 'postmaster',
      to,
      myhostname,
      mailName,
      boundaryTag: String(Math.floor(now / 1000)),
      message: {
        queueId: subject.queueId,
        sender: envelope.sender === '' ? settings.mailerDaemon : envelope.sender,
        arrivalTime,
        envelopeId: decodeXtext(envelope.dsnEnvid) ?? envelope.dsnEnvid,
        smtputf8: envelope.smtputf8,
        threadWith: settings.threaded ? envelope.messageId : '',
        ...retry,
      },
      recipients,
      original,
    });
    // A notice has no client: the header says that this system made it.
    const received = receivedHeader({ myhostname, mailName, queueId, date: mailDate(now) });
    const content = Buffer.concat([Buffer.from(`${received}\n`), notified.content]);
    const reply = await this.#send({
      envelope: Envelope.fromPartial({
        queueId,
        arrivalTime: now * 1000,
        sender: notice.from,
        recipients: [{ address: to }],
        encoding: notified.encoding,
        smtputf8: envelope.smtputf8,
        contentSize: content.length,
        rewriteContext: 'local',
        traceparent: traceparent ?? envelope.traceparent,
        idempotenceKey: submissionKey(subject, notice, records),
      }),
      content,
      options: {
        prependReceived: false,
        mapAddresses: true,
        filterContent: settings.filterContent,
        extractRecipients: false,
        smtpMilters: false,
      },
    });
    const kept = reply.queueId || queueId;
    this.#context.log.info(`${subject.queueId}: ${notice.audience} ${LOG_TEXT[notice.template]}: ${kept}`);
    return kept;
  }

  /** Resolves where the notice is on disk, or a rule took it. Throws NotKept. */
  async #send(request: SubmitRequest): Promise<SubmitReply> {
    const { clients, signal } = this.#context;
    const cleanup = clients.cleanup(this.#settings.cleanupService);
    const reply =
      request.content.length <= this.#settings.inlineLimit
        ? await cleanup.submit(request, signal)
        : await cleanup.submitLarge(
            { ...request, content: Buffer.alloc(0) },
            pieces(request.content, this.#settings.inlineLimit),
            signal,
          );
    const { status } = reply;
    if (status !== SubmitStatus.QUEUED && status !== SubmitStatus.DISCARDED) {
      throw new NotKept(`cleanup did not take the notice: ${reply.reason || statusName(status)}`);
    }
    return reply;
  }
}

async function* pieces(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < content.length; from += size) yield content.subarray(from, from + size);
}

function reported(record: BounceLogRecord): ReportedRecipient {
  const text = (bytes: Buffer): string => bytes.toString('utf8');
  const [type = '', ...original] = text(record.dsnOriginalRecipient).split(';');
  const address = text(record.address);
  const originalAddress = text(record.originalAddress);
  // Without ORCPT the address as received is the original recipient, as if the client had said so.
  const given = original.length > 0 ? `${type};${decodeXtext(original.join(';')) ?? original.join(';')}` : '';
  const own = record.diagnosticType === '' || record.diagnosticType === 'x-postfix';
  return {
    address,
    originalAddress,
    dsnOriginalRecipient: given !== '' ? given : `rfc822;${originalAddress !== '' ? originalAddress : address}`,
    status: record.status,
    action: record.action,
    reason: text(record.reason),
    diagnosticType: own ? '' : record.diagnosticType,
    diagnosticText: text(record.diagnosticText),
    remoteMta: record.remoteMta === '' ? '' : `dns; ${record.remoteMta}`,
  };
}

/**
 * Names the notice by what it is about: the message, the kind, and the set of recipients, which is the generation of the
 * log. A notice of recipients that failed later is another one; rows that were lost and written again make the same.
 */
function submissionKey(subject: Subject, notice: PlannedNotice, records: readonly BounceLogRecord[]): string {
  const generation = createHash('sha256').update(records.map((record) => record.recipient).join(','));
  const kind = KIND_WORDS[subject.kind];
  const copy = notice.audience === 'postmaster' ? ':postmaster' : '';
  return `notice:${keyText(subject.key)}:${kind}:${generation.digest('hex').slice(0, 16)}${copy}`;
}
