/**
 * The active queue: messages are admitted, their recipients sorted into destinations, and deliveries begun as transports
 * and destinations allow. What an attempt came to goes to `outcomes`; when the last entry of a message is done, to
 * `released`.
 *
 * Nothing begins for a shard whose lease is over, or while statuses wait in vain to be written: a delivery whose outcome
 * cannot be kept would be repeated.
 */
import type { DeliveryAgent, DeliveryReply, DeliveryRequest, ResolveReply } from '../../lib/clients/protocols.ts';
import { DeliveryStatus } from '../../lib/clients/protocols.ts';
import type { MessageKey } from '../../lib/queue/message-key.ts';
import type { Log } from '../../lib/util/log.ts';
import type { ActiveMessage, Entry } from './message.ts';
import { heldOctets } from './message.ts';
import type { DestinationQueue } from './queue.ts';
import type { TransportSettings } from './settings.ts';
import { Transport } from './transport.ts';

export interface Admission {
  readonly message: ActiveMessage;
  readonly recipients: readonly {
    readonly offset: number;
    readonly attempts: number;
    readonly resolved: ResolveReply;
  }[];
}

export interface SchedulerOptions {
  readonly activeLimit: number;
  readonly activeMemory: number;
  readonly log: Log;
  readonly transportSettings: (name: string) => TransportSettings;
  readonly agent: (transport: string) => DeliveryAgent | undefined;
  readonly epoch: (shard: number) => number | undefined;
  /** The content of a message that is not in memory; undefined where it cannot be read at present. */
  readonly readContent: (message: ActiveMessage) => Promise<Buffer | undefined>;
  /** False while outcomes cannot be written. */
  readonly writable: () => boolean;
  /** Milliseconds for which a destination is dead after its last failure. */
  readonly deadTime: number;
  /** Recipients whose transport is in defer_transports are not attempted. */
  readonly deferTransports: ReadonlySet<string>;
  outcome(entry: Entry, reply: DeliveryReply): Promise<void>;
  /** No entry of the message is left in the active queue. */
  released(message: ActiveMessage): void;
  readonly signal: AbortSignal;
}

const unavailable = (reason: string, status = '4.3.0'): DeliveryReply['destinationUnavailable'] => ({
  status,
  action: 'delayed',
  reason,
  diagnosticType: '',
  diagnosticText: '',
  remoteMta: '',
});

/** A reply that defers every recipient of the entry. */
function deferAll(entry: Entry, reason: NonNullable<DeliveryReply['destinationUnavailable']>): DeliveryReply {
  return {
    refused: false,
    destinationUnavailable: undefined,
    recipients: entry.recipients.map(({ offset }) => ({
      offset,
      status: DeliveryStatus.DEFERRED,
      notification: reason,
    })),
  };
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #transports = new Map<string, Transport>();
  readonly #agents = new Map<string, DeliveryAgent | undefined>();
  readonly #ready = new Set<Transport>();
  readonly #messages = new Set<ActiveMessage>();
  readonly #running = new Set<Promise<void>>();
  #heldOctets = 0;
  #room: (() => void)[] = [];
  #waking = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const timer = setInterval(() => this.#tick(), 200);
    options.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  get active(): number {
    return this.#messages.size;
  }

  get room(): number {
    return Math.max(0, this.#options.activeLimit - this.#messages.size);
  }

  /** The keys of a shard's messages that were made active under this epoch. */
  keys(shard: number, epoch: number): MessageKey[] {
    return [...this.#messages]
      .filter((message) => message.shard === shard && message.epoch === epoch)
      .map(({ key }) => key);
  }

  /** Messages that were deleted from the queue: what waits of them is dropped; what is under way comes to its end. */
  forget(queueIds: ReadonlySet<string>): void {
    for (const message of this.#messages) if (queueIds.has(message.envelope.queueId)) message.deleted = true;
  }

  /** Resolves when there is room for another message. */
  async waitForRoom(): Promise<void> {
    while (this.room === 0 && !this.#options.signal.aborted) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
  }

  /** Waits for the deliveries under way. */
  async drain(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #transport(name: string): Transport {
    let transport = this.#transports.get(name);
    if (transport === undefined) {
      transport = new Transport(this.#options.transportSettings(name));
      this.#transports.set(name, transport);
    }
    return transport;
  }

  /** Takes messages in; deliveries begin in this turn of the event loop or later. */
  admit(admissions: readonly Admission[]): void {
    for (const { message, recipients } of admissions) {
      this.#messages.add(message);
      this.#heldOctets += heldOctets(message);
      if (this.#heldOctets > this.#options.activeMemory && message.content !== undefined) {
        this.#heldOctets -= heldOctets(message);
        message.content = undefined;
      }
      this.#sort(message, recipients);
    }
    this.wake();
  }

  /** Sorts the recipients of a message into entries, at most destination_recipient_limit in each. */
  #sort(message: ActiveMessage, recipients: Admission['recipients']): void {
    const open = new Map<
      DestinationQueue,
      { transport: Transport; recipients: Entry['recipients'][number][]; attempts: number }
    >();
    const dead: [Transport, DestinationQueue][] = [];
    const put = (queue: DestinationQueue): void => {
      const group = open.get(queue)!;
      open.delete(queue);
      message.pending++;
      queue.push({ message, queue, recipients: group.recipients, attempts: group.attempts });
      if (queue.deadReason !== undefined) dead.push([group.transport, queue]);
      group.transport.offer(queue);
      this.#ready.add(group.transport);
    };
    for (const { offset, attempts, resolved } of recipients) {
      const transport = this.#transport(resolved.transport);
      const limit = transport.settings.destinationRecipientLimit;
      // With one recipient a delivery, limits are meant for each recipient (qmgr(8)).
      const name = limit === 1 ? `${resolved.nexthop}\n${resolved.recipient}` : resolved.nexthop;
      const queue = transport.queue(name, resolved.nexthop);
      const recipient = message.envelope.recipients[offset]!;
      let group = open.get(queue);
      if (group === undefined) {
        group = { transport, recipients: [], attempts };
        open.set(queue, group);
      }
      group.recipients.push({ ...recipient, address: resolved.recipient, offset });
      group.attempts = Math.max(group.attempts, attempts);
      if (limit > 0 && group.recipients.length >= limit) put(queue);
    }
    for (const queue of [...open.keys()]) put(queue);
    for (const [transport, queue] of dead) this.#suspend(transport, queue);
  }

  /** Begins what can begin, in a turn of its own, so that many events cost one pass. */
  wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      this.#schedule();
    });
  }

  #tick(): void {
    const now = performance.now();
    for (const transport of this.#transports.values()) if (transport.tick(now)) this.#ready.add(transport);
    if (this.#ready.size > 0) this.wake();
  }

  #schedule(): void {
    if (this.#options.signal.aborted || !this.#options.writable()) return;
    const now = performance.now();
    // One entry of each transport in turn, so that a busy transport does not hold up another.
    while (this.#ready.size > 0) {
      for (const transport of this.#ready) {
        const entry = transport.select(now);
        if (entry === undefined) this.#ready.delete(transport);
        else this.#begin(transport, entry);
      }
    }
  }

  #begin(transport: Transport, entry: Entry): void {
    const run = this.#deliver(transport, entry)
      .catch((error: unknown) =>
        this.#options.log.error(`${entry.message.envelope.queueId}: unexpected error: ${String(error)}`),
      )
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async #deliver(transport: Transport, entry: Entry): Promise<void> {
    const { message, queue } = entry;
    const { epoch } = message;
    if (message.deleted || this.#options.epoch(message.shard) !== epoch) {
      // Its rows are gone, or another qmgr has the shard and attempts them.
      this.#done(transport, entry);
      return;
    }
    const reply = await this.#attempt(transport, entry, epoch);
    const now = performance.now();
    if (reply.destinationUnavailable !== undefined) {
      if (queue.failed(reply.destinationUnavailable, now, this.#options.deadTime)) this.#suspend(transport, queue);
    } else if (!reply.refused) {
      queue.succeeded();
    }
    transport.release(queue, now);
    this.#ready.add(transport);
    this.wake();
    if (!reply.refused) await this.#options.outcome(entry, reply);
    this.#finish(entry);
  }

  async #attempt(transport: Transport, entry: Entry, epoch: number): Promise<DeliveryReply> {
    const { name } = transport.settings;
    if (this.#options.deferTransports.has(name)) return deferAll(entry, unavailable('deferred transport', '4.3.2')!);
    if (!this.#agents.has(name)) this.#agents.set(name, this.#options.agent(name));
    const agent = this.#agents.get(name);
    if (agent === undefined) {
      this.#options.log.warning(`${entry.message.envelope.queueId}: transport ${name} is not in master.cf`);
      return deferAll(entry, unavailable('mail transport unavailable')!);
    }
    const request = await this.#request(transport, entry, epoch);
    if (request === undefined) return deferAll(entry, unavailable('the content cannot be read at present')!);
    try {
      // Without a signal: a delivery that has begun goes on, and its outcome counts, whatever becomes of this qmgr.
      return await agent.deliver(request);
    } catch (error) {
      // Whether it was delivered is unknown; the agent may remember the attempt when it is asked again.
      return deferAll(
        entry,
        unavailable(`delivery agent lost: ${error instanceof Error ? error.message : String(error)}`)!,
      );
    }
  }

  async #request(transport: Transport, entry: Entry, epoch: number): Promise<DeliveryRequest | undefined> {
    const { message, queue, recipients, attempts } = entry;
    const { envelope, key } = message;
    let content = message.content ?? Buffer.alloc(0);
    if (message.content === undefined && envelope.contentReference === undefined && envelope.contentSize > 0) {
      const read = await this.#options.readContent(message);
      if (read === undefined) return undefined;
      content = read;
    }
    return {
      attempt: {
        shard: message.shard,
        epoch,
        id: `${key.log}:${key.sequence}:${key.entry}:${recipients[0]!.offset}+${recipients.length}:${attempts}`,
      },
      transport: transport.settings.name,
      nexthop: queue.nexthop,
      queueId: envelope.queueId,
      sender: envelope.sender,
      recipients: recipients as DeliveryRequest['recipients'],
      arrivalTime: envelope.arrivalTime,
      activeTime: message.activeTime,
      encoding: envelope.encoding,
      smtputf8: envelope.smtputf8,
      dsnEnvid: envelope.dsnEnvid,
      dsnRet: envelope.dsnRet,
      contentSize: envelope.contentSize,
      content,
      contentReference: envelope.contentReference,
      client: envelope.client,
      traceparent: message.span?.traceparent ?? envelope.traceparent,
      traceFlags: envelope.traceFlags,
      rewriteContext: envelope.rewriteContext,
    };
  }

  /** Defers, without an attempt, what waits for a destination that has just been found dead. */
  #suspend(transport: Transport, queue: DestinationQueue): void {
    const reason = queue.deadReason!;
    const suspended = unavailable(
      `delivery temporarily suspended: ${reason.reason}`,
      reason.status.replace(/^5/, '4'),
    )!;
    for (const entry of queue.drain()) {
      const run = this.#options
        .outcome(entry, deferAll(entry, suspended))
        .then(() => this.#finish(entry))
        .catch((error: unknown) => this.#options.log.error(`${entry.message.envelope.queueId}: ${String(error)}`))
        .finally(() => this.#running.delete(run));
      this.#running.add(run);
    }
    transport.offer(queue);
  }

  #done(transport: Transport, entry: Entry): void {
    transport.release(entry.queue, performance.now());
    this.#ready.add(transport);
    this.wake();
    this.#finish(entry);
  }

  #finish(entry: Entry): void {
    const { message } = entry;
    message.pending--;
    if (message.pending > 0) return;
    this.#messages.delete(message);
    this.#heldOctets -= heldOctets(message);
    message.content = undefined;
    const waiting = this.#room;
    this.#room = [];
    for (const resolve of waiting) resolve();
    this.#options.released(message);
  }
}
