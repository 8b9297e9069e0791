/**
 * From a request to the notices in the incoming log: reads the message's log in pages, composes what is due, and submits it
 * through cleanup(8) under a key that makes each notice happen once, however often the request is repeated.
 *
 * A page of recipients makes a notice of its own: a message with very many failed recipients is answered by several.
 */
import type { Pool } from 'pg';
import {
  type NoticeReply,
  type NoticeRequest,
  type SubmitReply,
  type SubmitRequest,
  SubmitStatus,
} from '../../lib/clients/protocols.ts';
import type { AttachedOriginal } from '../../lib/mail/bounce-message.ts';
import { createQueueIdGenerator } from '../../lib/mail/queue-id.ts';
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
import { PanicError } from '../../lib/util/errors.ts';
import { composeNotice, type Subject } from './compose.ts';
import { attachedOriginal } from './original.ts';
import { type Noticed, type PlannedNotice, planNotices, wantsNotice } from './plan.ts';
import type { BounceSettings } from './settings.ts';

/** Recipients in one notice. */
const PAGE = 500;

/** Notices that are submitted at once: they share frames of the log, and the text of each is in memory. */
const SUBMITTED_AT_ONCE = 16;

const NONE_DUE: NoticeReply = { done: true, queueId: '', reason: '' };

/** Words of log lines, by template. */
const LOG_TEXT = {
  failure: 'non-delivery notification',
  delay: 'delay notification',
  success: 'delivery status notification',
  verify: 'delivery status notification',
} as const;

function statusName(status: SubmitStatus): string {
  return Object.entries(SubmitStatus).find(([, value]) => value === status)?.[0] ?? String(status);
}

/** The notice cannot be kept at present; the request is to be repeated. */
class NotKept extends Error {
  override readonly name = 'NotKept';
}

/** As Promise.all, but nothing is under way any more when it rejects. */
async function allDone<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

/** What the pages of one message's log have in common. */
interface PageContext {
  readonly subject: Subject;
  readonly plan: readonly PlannedNotice[];
  readonly stored: StoredMessage;
  readonly originals: Map<PlannedNotice['original'], Promise<AttachedOriginal>>;
  readonly traceparent: string;
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

    const subject: Subject = { key, kind, queueId: found.queueId, envelope };
    const span = this.#context.tracing.start('bounce', envelope.traceparent);
    const page = {
      subject,
      plan,
      stored,
      originals: new Map(),
      traceparent: span?.traceparent ?? envelope.traceparent,
    };
    const queueIds: string[] = [];
    try {
      while (records.length > 0) {
        const made = await this.#page(page, records);
        if (queueIds.length === 0) queueIds.push(...made.slice(0, 1));
        if (records.length < PAGE) break;
        records = await bounceLogPage(pool, key, kind, records.at(-1)!.recipient, PAGE);
      }
    } finally {
      span?.end();
    }
    return { done: true, queueId: queueIds[0] ?? '', reason: '' };
  }

  /** The notices of one page of recipients; resolves to their queue ids. */
  async #page(context: PageContext, records: readonly BounceLogRecord[]): Promise<string[]> {
    const made: string[] = [];
    for (const notice of context.plan) {
      const wanted = records.filter((record) => wantsNotice(record.dsnNotify, notice.filter));
      const groups = notice.verp ? wanted.map((record) => [record]) : wanted.length > 0 ? [wanted] : [];
      if (groups.length === 0) continue;
      const original = await this.#original(context, notice);
      for (let from = 0; from < groups.length; from += SUBMITTED_AT_ONCE) {
        const together = groups.slice(from, from + SUBMITTED_AT_ONCE);
        made.push(...(await allDone(together.map((group) => this.#submit(context, notice, group, original)))));
      }
    }
    return made;
  }

  /** The message, looked up a second time where it moved in between. */
  async #read(found: NoticedMessage, key: MessageKey, pool: Pool): Promise<StoredMessage> {
    const { entries } = this.#context;
    const stored = await readStoredMessage(entries, found.at, found.queueId);
    if (stored !== undefined) return stored;
    const again = (await noticedMessages(pool, [key])).get(keyText(key));
    const moved = again && (await readStoredMessage(entries, again.at, again.queueId));
    if (moved === undefined) throw new NotKept('the message is not where its row says');
    return moved;
  }

  /** What is attached, read once for all pages. */
  #original({ originals, stored }: PageContext, notice: PlannedNotice): Promise<AttachedOriginal> {
    let original = originals.get(notice.original);
    if (original === undefined) {
      const { content, signal } = this.#context;
      original = attachedOriginal(content, stored, notice.original, this.#settings.sizeLimit, signal);
      originals.set(notice.original, original);
    }
    return original;
  }

  /** Resolves to the queue id of the notice once it is on disk, or a rule took it. Throws NotKept. */
  async #submit(
    { subject, traceparent }: PageContext,
    notice: PlannedNotice,
    records: readonly BounceLogRecord[],
    original: AttachedOriginal,
  ): Promise<string> {
    const now = Date.now();
    const queueId = this.#newQueueId(BigInt(now) * 1000n);
    // A notice that is too large with the message is sent with less of it: being told at all comes first.
    const headers: AttachedOriginal = { kind: 'headers', content: original.content };
    for (const attached of original.kind === 'message' ? [original, headers, undefined] : [original, undefined]) {
      const order = { subject, notice, records, original: attached, queueId, now, traceparent };
      const reply = await this.#send(composeNotice(order, this.#settings));
      const { status } = reply;
      if (status === SubmitStatus.QUEUED || status === SubmitStatus.DISCARDED) {
        const kept = reply.queueId || queueId;
        this.#context.log.info(`${subject.queueId}: ${notice.audience} ${LOG_TEXT[notice.template]}: ${kept}`);
        return kept;
      }
      if (status !== SubmitStatus.TOO_LARGE || attached === undefined) {
        throw new NotKept(`cleanup did not take the notice: ${reply.reason || statusName(status)}`);
      }
    }
    throw new PanicError('a notice without attachment was neither kept nor refused');
  }

  #send(request: SubmitRequest): Promise<SubmitReply> {
    const { clients, signal } = this.#context;
    const { cleanupService, inlineLimit } = this.#settings;
    const cleanup = clients.cleanup(cleanupService);
    if (request.content.length <= inlineLimit) return cleanup.submit(request, signal);
    const content = pieces(request.content, inlineLimit);
    return cleanup.submitLarge({ ...request, content: Buffer.alloc(0) }, content, signal);
  }
}

async function* pieces(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < content.length; from += size) yield content.subarray(from, from + size);
}
