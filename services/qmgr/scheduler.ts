/**
 * Begins deliveries as transports and destinations allow, transports taking turns. What an attempt came to goes to
 * `outcome`; when the last entry of a message is done, the message to `released`.
 *
 * Nothing begins for a shard whose lease is over, or while statuses wait in vain to be written: a delivery whose outcome
 * cannot be kept would be repeated.
 *
 * Logs feedback with destination_concurrency_feedback_debug, and a warning where one destination holds most of a full
 * active queue, every qmgr_clog_warn_time at most.
 */
import type { DeliveryReply } from '../../lib/clients/protocols.ts';
import type { MessageKey } from '../../lib/queue/message-key.ts';
import { ActiveQueue, type ActiveQueueOptions } from './active.ts';
import { type AttemptOptions, Attempts, deferAll, passing } from './attempt.ts';
import { replyOfExpired } from './expire.ts';
import type { Admission, Entry } from './message.ts';
import type { DestinationQueue } from './queue.ts';
import type { Destination } from './recipients.ts';
import type { TransportSettings } from './settings.ts';
import { Transport } from './transport.ts';

export interface SchedulerOptions extends AttemptOptions, Omit<ActiveQueueOptions, 'transport' | 'added'> {
  readonly transportSettings: (name: string) => TransportSettings;
  /** False while outcomes cannot be written. */
  readonly writable: () => boolean;
  /** Milliseconds for which a destination is dead after its last failure. */
  readonly deadTime: number;
  readonly feedbackDebug: boolean;
  /** Milliseconds between two warnings of a clogged queue; 0: none. */
  readonly clogWarnMs: number;
  outcome(entry: Entry, reply: DeliveryReply): Promise<void>;
}

/** Milliseconds after which it is looked again whether outcomes can be written. */
const UNWRITABLE_WAIT = 200;
/** The longest time that a timer can be set for, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #active: ActiveQueue;
  readonly #attempts: Attempts;
  readonly #transports = new Map<string, Transport>();
  /** Transports that may have something to deliver. */
  readonly #ready = new Set<Transport>();
  /** Entries whose delivery or deferral is under way. */
  #running = 0;
  #idle: (() => void)[] = [];
  #waking = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #cloggedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options);
    this.#active = new ActiveQueue({
      ...options,
      transport: (name) => this.#transport(name),
      added: (destinations) => this.#added(destinations),
    });
    options.signal.addEventListener('abort', () => clearTimeout(this.#timer), { once: true });
  }

  get active(): number {
    return this.#active.size;
  }

  /** Milliseconds since the epoch at which the oldest of them came; undefined where there is none. */
  get oldestArrival(): number | undefined {
    return this.#active.oldestArrival;
  }

  /** Messages that may come in. */
  get room(): number {
    return this.#active.room;
  }

  /** The keys of a shard's messages that were made active under this epoch. */
  keys(shard: number, epoch: number): MessageKey[] {
    return this.#active.keys(shard, epoch);
  }

  /** Messages that were deleted from the queue: what waits of them is dropped; what is under way comes to its end. */
  forget(queueIds: ReadonlySet<string>): void {
    this.#active.forget(queueIds);
  }

  /** Destinations that were found dead are tried again with the next mail for them. */
  forgetDead(): void {
    for (const transport of this.#transports.values()) transport.forgetDead();
  }

  /** Resolves when there is room for another message, or the signal is aborted. */
  async waitForRoom(signal: AbortSignal): Promise<void> {
    while (this.room === 0 && !signal.aborted) {
      this.#warnIfClogged();
      await this.#active.roomMade(signal);
    }
  }

  /** Waits for the deliveries under way. */
  async drain(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Takes messages in; deliveries begin in the next turn of the event loop or later. */
  admit(admissions: readonly Admission[]): void {
    const now = performance.now();
    for (const admission of admissions) this.#active.admit(admission, now);
    this.wake();
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

  #transport(name: string): Transport {
    let transport = this.#transports.get(name);
    if (transport === undefined) {
      transport = new Transport(this.#options.transportSettings(name));
      this.#transports.set(name, transport);
    }
    return transport;
  }

  #added(destinations: readonly Destination[]): void {
    for (const { transport, queue } of destinations) {
      this.#ready.add(transport);
      if (queue.deadReason !== undefined) this.#defer(transport.drain(queue), queue);
    }
    this.wake();
  }

  #schedule(): void {
    if (this.#options.signal.aborted) return;
    const now = performance.now();
    if (this.#ready.size > 0 && !this.#options.writable()) {
      this.#wakeAt(now + UNWRITABLE_WAIT, now);
      return;
    }
    // One entry of each transport in turn, so that a busy transport does not hold up another.
    while (this.#ready.size > 0) {
      for (const transport of this.#ready) {
        const entry = transport.select(now);
        if (entry === undefined) this.#ready.delete(transport);
        else this.#begin(transport, entry, now);
      }
    }
    for (const transport of this.#transports.values()) this.#wakeAt(transport.wakeAt(now), now);
  }

  /** Sees to it that suspended destinations are looked at then, if not before. */
  #wakeAt(time: number, now: number): void {
    if (time >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = time;
    this.#timer = setTimeout(() => this.#tick(), Math.min(Math.max(1, Math.ceil(time - now)), LONGEST_TIMER));
  }

  #tick(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = performance.now();
    for (const transport of this.#transports.values()) if (transport.tick(now)) this.#ready.add(transport);
    this.wake();
  }

  #begin(transport: Transport, entry: Entry, now: number): void {
    this.#active.selected(entry.peer.job, now);
    const { message, queue } = entry;
    if (message.deleted || this.#options.epoch(message.shard) !== message.epoch) {
      // Its rows are gone, or another qmgr has the shard and attempts them.
      this.#release(transport, queue);
      this.#active.finish(entry);
    } else {
      void this.#deliver(transport, entry);
    }
  }

  /** Attempts an entry and writes what came of it. Never rejects. */
  async #deliver(transport: Transport, entry: Entry): Promise<void> {
    this.#running++;
    try {
      const reply = await this.#attempt(transport, entry);
      if (!reply.refused) await this.#options.outcome(entry, reply);
    } catch (error) {
      this.#complain(entry, error);
    } finally {
      this.#ended(entry);
    }
  }

  /** Gives the slot of the destination back, whatever the attempt comes to. Never rejects. */
  async #attempt(transport: Transport, entry: Entry): Promise<DeliveryReply> {
    let reply = replyOfExpired(entry);
    try {
      if (reply !== undefined) return reply;
      const attempt = await this.#attempts.make(entry, entry.message.epoch);
      reply = attempt.reply;
      if (attempt.answered && !reply.refused) this.#feedBack(transport, entry.queue, reply);
    } catch (error) {
      this.#complain(entry, error);
    } finally {
      this.#release(transport, entry.queue);
    }
    return reply ?? deferAll(entry, passing('the attempt failed with an unexpected error'));
  }

  /** Writes a deferral that nobody attempted. Never rejects. */
  async #deferEntry(entry: Entry, reply: DeliveryReply): Promise<void> {
    this.#running++;
    try {
      await this.#options.outcome(entry, reply);
    } catch (error) {
      this.#complain(entry, error);
    } finally {
      this.#ended(entry);
    }
  }

  #complain(entry: Entry, error: unknown): void {
    this.#options.log.error(`${entry.message.envelope.queueId}: unexpected error: ${String(error)}`);
  }

  /** What could not be written of the entry is left to who owns the shard next: here it must hold up nothing. */
  #ended(entry: Entry): void {
    this.#active.finish(entry);
    this.#running--;
    if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #release(transport: Transport, queue: DestinationQueue): void {
    transport.release(queue, performance.now());
    this.#ready.add(transport);
    this.wake();
  }

  #feedBack(transport: Transport, queue: DestinationQueue, reply: DeliveryReply): void {
    const { deadTime, feedbackDebug, log } = this.#options;
    const failure = reply.destinationUnavailable;
    if (failure === undefined) transport.succeeded(queue);
    else this.#defer(transport.failed(queue, failure, performance.now() + deadTime), queue);
    if (!feedbackDebug) return;
    log.info(
      `${queue.transportName}:${queue.nexthop}: ${failure === undefined ? 'positive' : 'negative'} feedback: limit ${transport.settings.destinationConcurrencyLimit} ${queue.window} busy ${queue.busy}`,
    );
  }

  /** Defers, without an attempt, what waited for a destination that is dead. */
  #defer(entries: readonly Entry[], queue: DestinationQueue): void {
    if (entries.length === 0) return;
    const { reason, status } = queue.deadReason!;
    const suspended = passing(`delivery temporarily suspended: ${reason}`, status.replace(/^5/, '4'));
    for (const entry of entries) void this.#deferEntry(entry, deferAll(entry, suspended));
  }

  #warnIfClogged(): void {
    const { clogWarnMs, activeLimit, log } = this.#options;
    const now = performance.now();
    if (clogWarnMs === 0 || now - this.#cloggedAt < clogWarnMs) return;
    this.#cloggedAt = now;
    let largest: DestinationQueue | undefined;
    for (const transport of this.#transports.values())
      for (const queue of transport.queues) if (queue.waiting > (largest?.waiting ?? 0)) largest = queue;
    if (largest === undefined || largest.waiting * 2 < activeLimit) return;
    log.warning(
      `mail for ${largest.nexthop} is using up ${largest.waiting} of ${activeLimit} active queue entries; a transport of its own, or ${largest.transportName}_destination_concurrency_limit, may help`,
    );
  }
}
