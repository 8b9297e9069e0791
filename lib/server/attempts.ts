/**
 * What a delivery agent knows of the attempts that qmgr owners ask of it, so that a takeover of a shard does not deliver
 * twice what is under way (proto/postfleet/v1/delivery.proto, Attempt):
 *
 * - A lower epoch than one seen for the shard is refused: its owner has lost the shard.
 * - An attempt that is under way is joined: both askers get its one outcome.
 * - An outcome that changed something (a recipient was delivered or bounced) is remembered and repeated. An outcome that
 *   only deferred is not: trying again does no harm, and a later retry of the same recipients has the same id.
 *
 * Bounded: at most `limit` outcomes, none older than `timeLimit`. An owner that asks later than that is told nothing
 * and the message may be delivered twice.
 */
import type { DeliveryReply, DeliveryRequest } from '../clients/protocols.ts';
import { DeliveryStatus } from '../clients/protocols.ts';

export interface AttemptLimits {
  /** Most outcomes that are remembered. */
  readonly limit: number;
  /** Milliseconds for which one is remembered. */
  readonly timeLimit: number;
}

/** A lease is taken over within five seconds; a busy agent makes some thousands of deliveries in each. */
export const ATTEMPT_LIMITS: AttemptLimits = { limit: 32_768, timeLimit: 300_000 };

const REFUSED: DeliveryReply = { recipients: [], destinationUnavailable: undefined, refused: true };

interface Outcome {
  readonly reply: DeliveryReply;
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
}

export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #now: () => number;
  readonly #epochs = new Map<number, number>();
  readonly #underWay = new Map<string, Promise<DeliveryReply>>();
  /** In the order of their ends: the oldest comes first. */
  readonly #outcomes = new Map<string, Outcome>();
  /** Forgets outcomes also when no others come after them. */
  #sweep: NodeJS.Timeout | undefined;

  constructor(limits: AttemptLimits = ATTEMPT_LIMITS, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Makes the attempt by `deliver`, or answers for it. Rejects as `deliver` does, and then remembers nothing. */
  run(request: DeliveryRequest, deliver: () => Promise<DeliveryReply>): Promise<DeliveryReply> {
    const { attempt } = request;
    if (attempt === undefined) return deliver();
    if (this.isStale(request)) return Promise.resolve(REFUSED);
    this.#epochs.set(attempt.shard, attempt.epoch);
    if (attempt.id === '') return deliver();

    const running = this.#underWay.get(attempt.id);
    if (running !== undefined) return running;
    const known = this.#outcomes.get(attempt.id);
    if (known !== undefined && this.#now() - known.at < this.#limits.timeLimit) return Promise.resolve(known.reply);
    const made = this.#make(attempt.id, deliver);
    this.#underWay.set(attempt.id, made);
    return made;
  }

  /** Has the owner that asks lost its shard to another that was here? */
  isStale(request: DeliveryRequest): boolean {
    const { attempt } = request;
    return attempt !== undefined && attempt.epoch < (this.#epochs.get(attempt.shard) ?? 0);
  }

  /** The answer to a stale owner. */
  refuse(): DeliveryReply {
    return REFUSED;
  }

  async #make(id: string, deliver: () => Promise<DeliveryReply>): Promise<DeliveryReply> {
    try {
      const reply = await deliver();
      if (reply.recipients.some((recipient) => recipient.status !== DeliveryStatus.DEFERRED)) this.#remember(id, reply);
      return reply;
    } finally {
      this.#underWay.delete(id);
    }
  }

  #remember(id: string, reply: DeliveryReply): void {
    this.#outcomes.delete(id);
    this.#outcomes.set(id, { reply, at: this.#now() });
    if (this.#outcomes.size > this.#limits.limit) this.#outcomes.delete(this.#outcomes.keys().next().value!);
    if (this.#sweep !== undefined) return;
    this.#sweep = setTimeout(() => this.#forgetOld(), this.#limits.timeLimit);
    this.#sweep.unref();
  }

  #forgetOld(): void {
    this.#sweep = undefined;
    const now = this.#now();
    for (const [id, outcome] of this.#outcomes) {
      if (now - outcome.at < this.#limits.timeLimit) break;
      this.#outcomes.delete(id);
    }
    if (this.#outcomes.size === 0) return;
    this.#sweep = setTimeout(() => this.#forgetOld(), this.#limits.timeLimit);
    this.#sweep.unref();
  }

  /** How many outcomes are remembered. */
  get size(): number {
    return this.#outcomes.size;
  }
}
