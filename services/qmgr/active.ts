/**
 * The active queue: the messages that are being delivered, and how much of them is in memory.
 *
 * Limits: qmgr_message_active_limit messages, postfleet_active_memory octets of content and as many of recipients that
 * are not read in. Of a message with many recipients as many are read in as qmgr_message_recipient_limit leaves room for,
 * but qmgr_message_recipient_minimum in any case; the others wait in their encoded form (unread.ts, refill.ts).
 */
import type { Recipient, TrivialRewrite } from '../../lib/clients/protocols.ts';
import { keyText, type MessageKey } from '../../lib/queue/message-key.ts';
import type { Log } from '../../lib/util/log.ts';
import { Admitted } from './admitted.ts';
import type { Job } from './job.ts';
import { type ActiveMessage, type Admission, type Entry, heldOctets } from './message.ts';
import { type Destination, type SortedRecipient, sortRecipient, sortRecipients } from './recipients.ts';
import { Refill } from './refill.ts';
import type { Transport } from './transport.ts';
import { Unread } from './unread.ts';

export interface ActiveQueueOptions {
  readonly activeLimit: number;
  readonly activeMemory: number;
  readonly recipientLimit: number;
  readonly recipientMinimum: number;
  readonly log: Log;
  readonly resolve: TrivialRewrite['resolve'];
  readonly epoch: (shard: number) => number | undefined;
  readonly transport: (name: string) => Transport;
  /** Entries were added for these destinations. */
  readonly added: (destinations: readonly Destination[]) => void;
  /** No entry of the message is left. */
  readonly released: (message: ActiveMessage) => void;
  readonly signal: AbortSignal;
}

export class ActiveQueue {
  readonly #options: ActiveQueueOptions;
  readonly #messages = new Set<Admitted>();
  /**
   * Those with several recipients, of which more may become due, by shard and key: recipients of one message may be in several
   * shards of ours, and only under its own shard can one be deferred.
   */
  readonly #byKey = new Map<string, Admitted>();
  readonly #refill: Refill;
  #heldOctets = 0;
  #unreadOctets = 0;
  #inMemory = 0;
  #sequence = 0;
  #waiting: (() => void)[] = [];

  constructor(options: ActiveQueueOptions) {
    this.#options = options;
    this.#refill = new Refill({
      minimum: options.recipientMinimum,
      log: options.log,
      resolve: options.resolve,
      signal: options.signal,
      wanted: ({ message }) => !message.deleted && options.epoch(message.shard) === message.epoch,
      readIn: (admitted, recipients) => this.#readIn(admitted, recipients),
    });
  }

  get size(): number {
    return this.#messages.size;
  }

  /** Milliseconds since the epoch at which the oldest message came; undefined where there is none. */
  get oldestArrival(): number | undefined {
    let oldest = Number.POSITIVE_INFINITY;
    for (const { message } of this.#messages) oldest = Math.min(oldest, message.envelope.arrivalTime);
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest / 1000;
  }

  /** Recipients in memory as entries. */
  get inMemory(): number {
    return this.#inMemory;
  }

  /** Messages that may come in. */
  get room(): number {
    if (this.#unreadOctets > this.#options.activeMemory) return 0;
    return Math.max(0, this.#options.activeLimit - this.#messages.size);
  }

  /** The keys of a shard's messages that were made active under this epoch. */
  keys(shard: number, epoch: number): MessageKey[] {
    return [...this.#messages]
      .filter(({ message }) => message.shard === shard && message.epoch === epoch)
      .map(({ message }) => message.key);
  }

  /** Messages that were deleted from the queue: what waits of them is dropped; what is under way comes to its end. */
  forget(queueIds: ReadonlySet<string>): void {
    for (const { message } of this.#messages) if (queueIds.has(message.envelope.queueId)) message.deleted = true;
  }

  /** Resolves when there may be room for another message, or when the signal is aborted. */
  async roomMade(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const end = (): void => resolve();
    signal.addEventListener('abort', end, { once: true });
    await promise;
    signal.removeEventListener('abort', end);
  }

  /** Takes a message in, or further recipients of one that is in. `now`: milliseconds of a monotonic clock. */
  admit({ message, recipients }: Admission, now: number): void {
    const { recipientLimit, recipientMinimum, transport, added } = this.#options;
    const { recipients: addresses } = message.envelope;
    const admitted = this.#admitted(message, now);
    const [first] = recipients;
    if (message.single && first !== undefined) {
      this.#inMemory++;
      added([sortRecipient(admitted, first, addresses[first.offset]!, transport, now)]);
      return;
    }
    const room = Math.max(recipientMinimum, recipientLimit - this.#inMemory);
    const split = admitted.unread === undefined ? Math.min(room, recipients.length) : 0;
    if (split < recipients.length) this.#keepUnread(admitted, recipients.slice(split), addresses);
    if (split > 0) this.#sort(admitted, withAddresses(recipients.slice(0, split), addresses), now);
  }

  #admitted(message: ActiveMessage, now: number): Admitted {
    const key = message.single ? undefined : shardKey(message);
    const known = key === undefined ? undefined : this.#byKey.get(key);
    // Under another epoch somebody else may have had it meanwhile: that is another pass.
    if (known !== undefined && known.message.epoch === message.epoch && !known.message.deleted) {
      known.message.at = message.at;
      if (message.forcedExpire !== undefined)
        known.message.forcedExpire = merged(known.message.forcedExpire, message.forcedExpire);
      message.span?.end();
      return known;
    }
    const admitted = new Admitted(message, ++this.#sequence, now);
    this.#messages.add(admitted);
    if (key !== undefined) this.#byKey.set(key, admitted);
    this.#heldOctets += heldOctets(message);
    if (this.#heldOctets > this.#options.activeMemory && message.content !== undefined) {
      this.#heldOctets -= heldOctets(message);
      message.content = undefined;
    }
    return admitted;
  }

  #keepUnread(admitted: Admitted, recipients: Admission['recipients'], addresses: readonly Recipient[]): void {
    const { message } = admitted;
    if (admitted.unread === undefined) {
      admitted.unread = new Unread((octets) => {
        this.#unreadOctets += octets;
      });
      for (const job of admitted.jobs) job.transport.unreadJobs.add(job);
      message.envelope = { ...message.envelope, recipients: [] };
    }
    admitted.unread.add(
      recipients.map(({ offset, attempts }) => ({ offset, attempts, recipient: addresses[offset]! })),
    );
  }

  #sort(admitted: Admitted, recipients: readonly SortedRecipient[], now: number): void {
    this.#inMemory += recipients.length;
    this.#options.added(sortRecipients(admitted, recipients, this.#options.transport, now));
  }

  #readIn(admitted: Admitted, recipients: readonly SortedRecipient[]): void {
    if (recipients.length > 0) this.#sort(admitted, recipients, performance.now());
    this.#makeRoom();
    if (admitted.message.pending === 0 && admitted.unread === undefined) this.#end(admitted);
  }

  /** An entry of the job was selected for delivery. */
  selected(job: Job, now: number): void {
    if (job.admitted.unread !== undefined) this.#refill.consider(job, now);
  }

  /** An entry is done with. */
  finish(entry: Entry): void {
    const { message, peer, recipients } = entry;
    const { admitted, transport } = peer.job;
    transport.done(entry);
    admitted.inMemory -= recipients.length;
    this.#inMemory -= recipients.length;
    message.pending--;
    if (message.pending > 0) return;
    if (admitted.unread === undefined) this.#end(admitted);
    else this.#refill.exhausted(admitted);
  }

  #end(admitted: Admitted): void {
    const { message } = admitted;
    this.#messages.delete(admitted);
    if (!message.single) {
      const key = shardKey(message);
      if (this.#byKey.get(key) === admitted) this.#byKey.delete(key);
    }
    this.#heldOctets -= heldOctets(message);
    message.content = undefined;
    this.#makeRoom();
    this.#options.released(message);
  }

  #makeRoom(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** What is known of further recipients is added to what is known. */
function merged<K, V>(known: Map<K, V> | undefined, further: Map<K, V>): Map<K, V> {
  if (known === undefined) return further;
  for (const [key, value] of further) known.set(key, value);
  return known;
}

const shardKey = ({ shard, key }: ActiveMessage): string => `${shard}:${keyText(key)}`;

function withAddresses(recipients: Admission['recipients'], addresses: readonly Recipient[]): SortedRecipient[] {
  return recipients.map(({ offset, attempts, resolved }) => ({
    offset,
    attempts,
    resolved,
    recipient: addresses[offset]!,
  }));
}
