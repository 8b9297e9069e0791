/** What was seen to arrive, at sinks and in mailboxes. */
import { type Copy, isRefused, type Notice, unitOf } from './ledger.ts';
import { type Arrival, type Message, read } from './messages.ts';

export class Arrivals {
  readonly copies: Copy[] = [];
  readonly notices: Notice[] = [];
  /** Recipients of messages that have an outcome such as they should have, as `unitOf` names them. */
  readonly done = new Set<string>();
  readonly #lastBegan = new Map<string, number>();

  add(arrival: Arrival): void {
    const { copies, notices } = read(arrival);
    this.copies.push(...copies);
    this.notices.push(...notices);
    const outcomes = [...copies, ...notices.filter(({ recipient }) => isRefused(recipient))];
    for (const { id, recipient, isWhole } of outcomes) if (isWhole) this.done.add(unitOf(id, recipient));
    for (const { recipient } of copies) this.#lastBegan.set(recipient.split('@')[1]!, arrival.began);
  }

  /** When the last delivery to a domain began, in milliseconds since 1970. */
  lastBegan(domain: string): number {
    return this.#lastBegan.get(domain) ?? 0;
  }
}

/** Recipients without an outcome. */
export function outstanding(
  accepted: readonly Message[],
  arrivals: Arrivals,
  wanted: (recipient: string) => boolean = () => true,
): number {
  let count = 0;
  for (const { id, recipients } of accepted)
    for (const recipient of recipients) if (wanted(recipient) && !arrivals.done.has(unitOf(id, recipient))) count++;
  return count;
}
