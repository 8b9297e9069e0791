/**
 * Messages that are in the active queue before they have rows (docs/adr/0007-rows-when-needed.md). The log keeps them
 * until applied_sequence moves past them; where the one recipient is delivered by then, no row is ever written, and the
 * move itself is the record of the delivery.
 *
 * A statement whose answer is lost may have been carried out: what was read stays here from one round of the shard to the
 * next, until Postgres says how far it is applied.
 */
import type { Arrival, Arrivals } from './arrival.ts';

/** One message of them. */
export class Unwritten {
  /** Its recipient was delivered, and nobody is to be told. */
  delivered = false;
  /** The statement under way, or the last one, moves past it without rows. */
  skipped = false;
  readonly #settled = Promise.withResolvers<boolean>();

  /** True: its delivery is recorded, without rows. False: it has rows, or the shard is another owner's. */
  get settled(): Promise<boolean> {
    return this.#settled.promise;
  }

  settle(recorded: boolean): void {
    this.#settled.resolve(recorded);
  }
}

/** Milliseconds that a message has for its delivery before rows are written. */
const GRACE = 25;
/** Milliseconds between two statements: each costs Postgres the same whatever it holds. */
const PACE = 50;
/** The same where something cannot go on without its rows. */
const URGENT_PACE = 16;
/** Messages that may be without rows at a time. */
const LIMIT = 5000;

/** Where an arrival lies in its log. */
const place = ({ sequence, entry }: Arrival): string => `${sequence}:${entry}`;

interface ReadBatch extends Arrivals {
  readonly readAt: number;
  /** Some of it is only admitted when it has rows. */
  readonly urgent: boolean;
}

/** What one shard's log has brought and Postgres has not confirmed, in order. */
export class UnwrittenArrivals {
  #batches: ReadBatch[] = [];
  #count = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #logNumber: number | undefined;
  /** Of former rounds: in the active queue, and to be met again in the log. */
  readonly #known = new Map<string, Unwritten>();

  get full(): boolean {
    return this.#count >= LIMIT;
  }

  /** Milliseconds until the next statement is due; undefined where nothing waits. */
  dueIn(now: number): number | undefined {
    const [first] = this.#batches;
    if (first === undefined) return undefined;
    const urgent = this.#batches.some((batch) => batch.urgent);
    const at = urgent ? this.#writtenAt + URGENT_PACE : Math.max(first.readAt + GRACE, this.#writtenAt + PACE);
    return Math.max(0, at - now);
  }

  /**
   * Takes what was read. Resolves to the arrivals that are to be admitted before they have rows; those that a former
   * round admitted are not among them.
   */
  add(read: Arrivals, now: number, early: (arrival: Arrival) => boolean): Arrival[] {
    const admit: Arrival[] = [];
    let urgent = read.corrupt.length > 0;
    for (const arrival of read.arrivals) {
      const key = this.#known.size === 0 ? '' : place(arrival);
      const known = this.#known.get(key);
      if (known !== undefined) {
        arrival.unwritten = known;
        this.#known.delete(key);
      } else if (early(arrival)) {
        arrival.unwritten = new Unwritten();
        admit.push(arrival);
      } else if (!arrival.envelope.hold) urgent = true;
    }
    this.#batches.push({ ...read, readAt: now, urgent });
    this.#count += read.arrivals.length;
    return admit;
  }

  /**
   * All that is due, as one batch; undefined where nothing is. What came in the last milliseconds keeps its time, unless
   * something behind it is urgent, or `all` is wanted. Delivered messages are marked as skipped.
   */
  next(now: number, all = false): (Arrivals & { readonly rows: Arrival[] }) | undefined {
    const end = this.#batches.findLastIndex(({ urgent, readAt }) => all || urgent || readAt + GRACE <= now);
    const batches = this.#batches.slice(0, end + 1);
    const last = batches.at(-1);
    if (last === undefined) return undefined;
    this.#writtenAt = now;
    const arrivals = batches.flatMap((batch) => batch.arrivals);
    const rows: Arrival[] = [];
    for (const arrival of arrivals) {
      const { unwritten } = arrival;
      if (unwritten !== undefined) unwritten.skipped = unwritten.delivered;
      if (unwritten?.delivered !== true) rows.push(arrival);
    }
    return {
      arrivals,
      rows,
      corrupt: batches.flatMap((batch) => batch.corrupt),
      to: last.to,
      lastFrame: batches.findLast((batch) => batch.lastFrame !== '')?.lastFrame ?? '',
      octets: batches.reduce((sum, batch) => sum + batch.octets, 0),
    };
  }

  /** Postgres says that all up to `applied` is carried out. */
  confirm(applied: number): void {
    const written = this.#batches.filter((batch) => batch.to <= applied);
    this.#batches = this.#batches.slice(written.length);
    for (const { arrivals } of written) {
      this.#count -= arrivals.length;
      for (const { unwritten } of arrivals) unwritten?.settle(unwritten.skipped);
    }
  }

  /** The log is to be read again from `applied` on: what is in the active queue will be met there. */
  rewind(applied: number, logNumber: number): void {
    if (logNumber !== this.#logNumber) this.release();
    this.#logNumber = logNumber;
    this.confirm(applied);
    for (const { arrivals } of this.#batches)
      for (const arrival of arrivals)
        if (arrival.unwritten !== undefined) this.#known.set(place(arrival), arrival.unwritten);
    this.#batches = [];
    this.#count = 0;
  }

  /** The shard is another owner's, or the log is another one: whatever they come to is told to Postgres as of any message. */
  release(): void {
    for (const { arrivals } of this.#batches) for (const { unwritten } of arrivals) unwritten?.settle(false);
    for (const unwritten of this.#known.values()) unwritten.settle(false);
    this.#known.clear();
    this.#batches = [];
    this.#count = 0;
  }
}
