/**
 * One entry of MAILDROP on its way to cleanup(8). It is taken out of MAILDROP when cleanup has it on disk; where that cannot
 * be had now it comes again later. An entry that was handed on by a pickup that died before it could say so is handed on
 * again under the same key, and the queue takes it once.
 */
import type { JsMsg } from '@nats-io/jetstream';
import type { Envelope, SubmitReply, SubmitRequest } from '../../lib/clients/protocols.ts';
import { SubmitStatus, Unavailable } from '../../lib/clients/protocols.ts';
import { createQueueIdGenerator } from '../../lib/mail/queue-id.ts';
import {
  entryBytes,
  type LastPart,
  MaildropDamaged,
  type MaildropEntry,
  readEntry,
  readLastPart,
} from '../../lib/queue/maildrop.ts';
import type { ServiceContext } from '../../lib/server/context.ts';
import { ACK_WAIT, type Maildrop } from './maildrop.ts';
import { refusalNotice, refusalOf } from './refusal.ts';
import type { PickupSettings } from './settings.ts';

/** Milliseconds until an entry that could not be handed on comes again; doubled each time, up to the entry's wake-up time. */
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;
const HEADER_LIMIT = 65_536;

const newQueueId = createQueueIdGenerator();

export class Pickup {
  readonly #context: ServiceContext;
  readonly #settings: PickupSettings;
  readonly #maildrop: Maildrop;

  constructor(context: ServiceContext, settings: PickupSettings, maildrop: Maildrop) {
    this.#context = context;
    this.#settings = settings;
    this.#maildrop = maildrop;
  }

  /** Deals with one entry. Never rejects for what the entry or cleanup does; NATS' errors pass. */
  async handle(message: JsMsg): Promise<void> {
    const { log, signal } = this.#context;
    // A large message may take longer than the server waits for a sign of life.
    const alive = setInterval(() => message.working(), ACK_WAIT / 3);
    try {
      const last = readLastPart(asBuffer(message.data));
      const entry = await readEntry(entryBytes(last, this.#maildrop.earlierParts(message.subject, last)));
      if (await this.#handOn(message, entry, last)) await this.#maildrop.remove(message, last.partsBefore);
      else message.nak(this.#waitBefore(message.info.deliveryCount));
    } catch (error) {
      if (error instanceof MaildropDamaged) {
        log.warning(`maildrop entry ${message.seq}: ${error.message}: set aside in stream MAILDROP_CORRUPT`);
        await this.#maildrop.setAside(message);
      } else if (error instanceof Unavailable || signal.aborted) {
        if (!signal.aborted) log.warning(`maildrop entry ${message.seq}: ${error}; it is tried again`);
        message.nak(this.#waitBefore(message.info.deliveryCount));
      } else throw error;
    } finally {
      clearInterval(alive);
    }
  }

  /** Postfix's pickup looks again at each wake-up: that is the longest time that an entry waits here. */
  #waitBefore(deliveryCount: number): number {
    const longest = (this.#context.wakeup ?? 0) * 1000 || LONGEST_WAIT;
    return Math.min(FIRST_WAIT * 2 ** Math.min(deliveryCount - 1, 10), longest);
  }

  /** True where the entry is done with. */
  async #handOn(message: JsMsg, { submission, content }: MaildropEntry, last: LastPart): Promise<boolean> {
    const { log, clients, signal } = this.#context;
    const envelope: Envelope = {
      ...submission.envelope,
      queueId: newQueueId(BigInt(Date.now()) * 1000n),
      arrivalTime: message.time.getTime() * 1000,
      idempotenceKey: `maildrop:${this.#maildrop.created}:${message.seq}`,
      filter: this.#settings.contentFilter,
    };
    log.info(`${envelope.queueId}: uid=${envelope.senderUid} from=<${envelope.sender}>`);
    const watched = new WatchedContent(content);
    const request = this.#request(envelope, submission.extractRecipients);
    const reply = await this.#submit(request, watched, last.size);
    const refusal = refusalOf(reply);
    if (refusal === undefined) {
      if (!isDone(reply)) log.warning(`${envelope.queueId}: not taken by cleanup: ${reply.reason}; it is tried again`);
      return isDone(reply);
    }
    log.warning(`${envelope.queueId}: message refused: ${refusal.status} ${refusal.reason}`);
    const noticeId = newQueueId(BigInt(Date.now()) * 1000n);
    const notice = refusalNotice(envelope, watched.headers(), refusal, noticeId, this.#settings);
    if (notice === undefined) return true;
    return isDone(await clients.cleanup().submit(notice, signal));
  }

  #request(envelope: Envelope, extractRecipients: boolean): SubmitRequest {
    const { mapAddresses, filterContent } = this.#settings;
    return {
      envelope,
      content: Buffer.alloc(0),
      options: { prependReceived: true, mapAddresses, filterContent, extractRecipients, smtpMilters: false },
      activeClients: 0,
    };
  }

  async #submit(request: SubmitRequest, content: AsyncIterable<Buffer>, size: number): Promise<SubmitReply> {
    const { clients, signal } = this.#context;
    if (size > this.#settings.inlineLimit) return clients.cleanup().submitLarge(request, content, signal);
    const pieces: Buffer[] = [];
    for await (const piece of content) pieces.push(piece);
    const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    return clients.cleanup().submit({ ...request, content: whole }, signal);
  }
}

/** Passes content on and remembers its beginning. */
class WatchedContent implements AsyncIterable<Buffer> {
  readonly #content: AsyncIterable<Buffer>;
  #beginning: Buffer = Buffer.alloc(0);

  constructor(content: AsyncIterable<Buffer>) {
    this.#content = content;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for await (const piece of this.#content) {
      const room = HEADER_LIMIT - this.#beginning.length;
      if (room > 0) this.#beginning = Buffer.concat([this.#beginning, piece.subarray(0, room)]);
      yield piece;
    }
  }

  /** The header block, as far as it is in the first 64 KiB. */
  headers(): Buffer {
    const end = this.#beginning.indexOf('\n\n');
    return end < 0 ? this.#beginning : this.#beginning.subarray(0, end + 1);
  }
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** In the log, or thrown away by a rule. */
function isDone({ status }: SubmitReply): boolean {
  return status === SubmitStatus.QUEUED || status === SubmitStatus.DISCARDED;
}
