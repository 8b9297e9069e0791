/**
 * One message of `postqueue -j`, and what it is asked for: filters, and counts by destination. Pure.
 *
 * A line that is no such object is a PanicError: the program at the other end is of the same build.
 * @see postqueue(1), JSON OBJECT FORMAT
 */
import { PanicError } from '../../lib/util/errors.ts';

export interface QueueItem {
  readonly queue_name: string;
  readonly queue_id: string;
  /** Seconds since 1970. */
  readonly arrival_time: number;
  /** Octets. */
  readonly message_size: number;
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

export function parseQueueItem(line: string): QueueItem {
  try {
    return JSON.parse(line) as QueueItem;
  } catch (error) {
    throw new PanicError(`not an item of a queue listing: ${line.slice(0, 80)}`, { cause: error });
  }
}

export interface QueueFilter {
  readonly queue: string | undefined;
  readonly sender: string | undefined;
  /** An address, or a domain without "@". */
  readonly recipient: string | undefined;
  readonly ids: ReadonlySet<string>;
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1).toLowerCase();
}

export function matches(item: QueueItem, { queue, sender, recipient, ids }: QueueFilter): boolean {
  if (ids.size > 0 && !ids.has(item.queue_id)) return false;
  if (queue !== undefined && item.queue_name !== queue) return false;
  if (sender !== undefined && !addressMatches(item.sender, sender)) return false;
  return recipient === undefined || item.recipients.some(({ address }) => addressMatches(address, recipient));
}

function addressMatches(address: string, wanted: string): boolean {
  const lower = wanted.toLowerCase();
  return lower.includes('@') || lower === '' ? address.toLowerCase() === lower : domainOf(address) === lower;
}

export interface DestinationCount {
  readonly destination: string;
  /** Recipients; a message with several counts several times. */
  recipients: number;
  deferred: number;
  /** Seconds since 1970 of the oldest message. */
  oldest: number;
  /** One of the reasons that deliveries were put off for. */
  reason: string;
}

/** Beyond so many domains the rest is counted together. */
const MOST_DESTINATIONS = 10_000;
const OTHERS = '(others)';

/** Counts by the domain of the recipient, most first, of items that are added one by one. */
export class DestinationCounts {
  readonly #counts = new Map<string, DestinationCount>();

  add(item: QueueItem): void {
    for (const { address, delay_reason: reason } of item.recipients) {
      const count = this.#at(domainOf(address), item.arrival_time);
      count.recipients++;
      if (item.queue_name === 'deferred') count.deferred++;
      if (item.arrival_time < count.oldest) count.oldest = item.arrival_time;
      if (reason !== undefined) count.reason = reason;
    }
  }

  sorted(): DestinationCount[] {
    return [...this.#counts.values()].sort(
      (a, b) => b.recipients - a.recipients || (a.destination < b.destination ? -1 : 1),
    );
  }

  #at(domain: string, arrival: number): DestinationCount {
    const destination = this.#counts.has(domain) || this.#counts.size < MOST_DESTINATIONS ? domain : OTHERS;
    let count = this.#counts.get(destination);
    if (count === undefined) {
      count = { destination, recipients: 0, deferred: 0, oldest: arrival, reason: '' };
      this.#counts.set(destination, count);
    }
    return count;
  }
}
