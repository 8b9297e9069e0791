/**
 * Brings in the recipients of a message that had no place in memory when it was admitted, as its jobs get room for them
 * (SCHEDULER_README, "Dealing with memory resource limits").
 *
 * The room of a transport goes to the first of its jobs whose message is not read in whole, and half of what is left,
 * with the extra room, to a job that has preempted another; qmgr_message_recipient_minimum is there for each message.
 * More is read when the room is recipient_refill_limit, or less after recipient_refill_delay, or when a message has no
 * recipient in memory.
 *
 * Logs a warning when addresses cannot be resolved; they are tried again until they are.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ResolveReply, TrivialRewrite } from '../../lib/clients/protocols.ts';
import type { Log } from '../../lib/util/log.ts';
import type { Admitted } from './admitted.ts';
import type { Job } from './job.ts';
import type { SortedRecipient } from './recipients.ts';
import type { UnreadRecipient } from './unread.ts';

/** Recipients that one reading brings in at most: it holds up everything else for as long as it takes. */
const AT_ONCE = 2000;
/** Milliseconds until addresses that could not be resolved are tried again. */
const PAUSE = 1000;

export interface RefillOptions {
  /** qmgr_message_recipient_minimum. */
  readonly minimum: number;
  readonly log: Log;
  readonly resolve: TrivialRewrite['resolve'];
  /** False where the message was deleted, or its shard is no longer ours: its rows are nobody's here. */
  readonly wanted: (admitted: Admitted) => boolean;
  /** Recipients are read; the last where `admitted.unread` is undefined. */
  readonly readIn: (admitted: Admitted, recipients: readonly SortedRecipient[]) => void;
  readonly signal: AbortSignal;
}

export class Refill {
  readonly #options: RefillOptions;

  constructor(options: RefillOptions) {
    this.#options = options;
  }

  /** An entry of the job was selected: reads more of its message where there is room. `now` in milliseconds. */
  consider({ admitted, transport }: Job, now: number): void {
    if (admitted.unread === undefined || admitted.reading) return;
    const { recipientRefillLimit, recipientRefillDelayMs } = transport.settings;
    const room = this.#room(admitted);
    if (room >= recipientRefillLimit || (room > 0 && now - admitted.readAt >= recipientRefillDelayMs)) {
      this.#begin(admitted, room);
    }
  }

  /** No recipient of the message is in memory. */
  exhausted(admitted: Admitted): void {
    if (!admitted.reading) this.#begin(admitted, Math.max(1, this.#options.minimum, this.#room(admitted)));
  }

  /** Recipients of the message that may be read in. */
  #room(admitted: Admitted): number {
    let room = Math.max(0, this.#options.minimum - admitted.inMemory);
    for (const job of admitted.jobs) {
      const { settings, inMemory, unreadJobs } = job.transport;
      const [first] = unreadJobs;
      if (first === job) room += Math.max(0, settings.recipientLimit - inMemory);
      else if (job.hasPreempted)
        room += Math.max(0, (settings.recipientLimit + settings.extraRecipientLimit - inMemory) >> 1);
    }
    return room;
  }

  #begin(admitted: Admitted, room: number): void {
    admitted.reading = true;
    this.#read(admitted, Math.min(room, AT_ONCE)).catch((error: unknown) =>
      this.#options.log.error(`${admitted.message.envelope.queueId}: reading recipients: ${String(error)}`),
    );
  }

  async #read(admitted: Admitted, limit: number): Promise<void> {
    const { wanted, readIn } = this.#options;
    const unread = admitted.unread!;
    const taken = unread.take(limit);
    const resolved = await this.#resolve(admitted, taken);
    admitted.reading = false;
    admitted.readAt = performance.now();
    const recipients = resolved === undefined || !wanted(admitted) ? undefined : resolved;
    if (recipients === undefined || unread.count === 0) this.#allRead(admitted);
    readIn(admitted, recipients?.map((reply, at) => ({ ...taken[at]!, resolved: reply })) ?? []);
    if (admitted.unread === undefined) for (const job of admitted.jobs) job.transport.retire(job);
  }

  #allRead(admitted: Admitted): void {
    admitted.unread?.clear();
    admitted.unread = undefined;
    for (const job of admitted.jobs) job.transport.unreadJobs.delete(job);
  }

  /** Undefined at the end of the process. */
  async #resolve(admitted: Admitted, taken: readonly UnreadRecipient[]): Promise<ResolveReply[] | undefined> {
    const { resolve, log, signal } = this.#options;
    const { sender, queueId } = admitted.message.envelope;
    const requests = taken.map(({ recipient }) => ({ kind: 'resolve', sender, address: recipient.address }));
    for (let complained = false; !signal.aborted; complained = true) {
      try {
        return await resolve(requests);
      } catch (error) {
        if (!complained) log.warning(`${queueId}: cannot resolve recipients: ${String(error)}; trying again`);
        await delay(PAUSE, undefined, { signal }).catch(() => undefined);
      }
    }
    return undefined;
  }
}
