/**
 * Counts of what clients do, by (service, client): connections open at present, and connections, messages, recipients,
 * TLS negotiations and authentications within a time unit.
 *
 * As in Postfix, a unit begins with the first event after the one before has ended, and all rates of a client share it.
 * A client is forgotten when it has no open connection and a whole unit has passed.
 *
 * Memory is bounded: beyond `limit` clients the one that was quiet for longest is forgotten. Open connections of a
 * session process that died are never reported closed; a count without any event for `staleAfter` is dropped.
 */

/** Events of anvil(8), with the rate that each one counts. */
export type RateKind = 'connection' | 'message' | 'recipient' | 'newtls' | 'auth';

interface Client {
  open: number;
  /** Milliseconds of the clock at which its time unit began, and of its last event. */
  start: number;
  last: number;
  readonly rates: Record<RateKind, number>;
}

export interface CountsOptions {
  /** anvil_rate_time_unit in milliseconds. */
  readonly timeUnit: number;
  /** Most clients. */
  readonly limit: number;
  /** Milliseconds. */
  readonly staleAfter: number;
  /** Milliseconds; any clock that does not go back. */
  readonly now: () => number;
}

export class Counts {
  readonly #options: CountsOptions;
  /** The client with the oldest event comes first. */
  readonly #clients = new Map<string, Client>();

  constructor(options: CountsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** A connection: how many are open at present, and how many there were in this time unit. */
  connect(ident: string): { count: number; rate: number } {
    const client = this.#touch(ident);
    client.open++;
    return { count: client.open, rate: ++client.rates.connection };
  }

  disconnect(ident: string): void {
    const client = this.#clients.get(ident);
    if (client !== undefined && client.open > 0) {
      client.open--;
      this.#touch(ident);
    }
  }

  /** Another event: how many there were in this time unit. */
  count(ident: string, kind: RateKind): number {
    return ++this.#touch(ident).rates[kind];
  }

  /** The rate alone. */
  rate(ident: string, kind: RateKind): number {
    const client = this.#clients.get(ident);
    return client === undefined || this.#isOver(client) ? 0 : client.rates[kind];
  }

  open(ident: string): number {
    return this.#clients.get(ident)?.open ?? 0;
  }

  /** Forgets clients that are quiet; called now and then. */
  expire(): void {
    const now = this.#options.now();
    for (const [ident, client] of this.#clients) {
      const quiet = now - client.last;
      if (quiet <= this.#options.timeUnit) return;
      if (client.open === 0 || quiet > this.#options.staleAfter) this.#clients.delete(ident);
    }
  }

  #isOver(client: Client): boolean {
    return this.#options.now() - client.start > this.#options.timeUnit;
  }

  #touch(ident: string): Client {
    const now = this.#options.now();
    let client = this.#clients.get(ident);
    if (client === undefined) {
      client = { open: 0, start: now, last: now, rates: noRates() };
      if (this.#clients.size >= this.#options.limit) this.#forgetOldest();
    } else {
      this.#clients.delete(ident);
      if (now - client.last > this.#options.staleAfter) client.open = 0;
      if (this.#isOver(client)) {
        client.start = now;
        Object.assign(client.rates, noRates());
      }
      client.last = now;
    }
    this.#clients.set(ident, client);
    return client;
  }

  #forgetOldest(): void {
    const oldest = this.#clients.keys().next().value;
    if (oldest !== undefined) this.#clients.delete(oldest);
  }
}

function noRates(): Record<RateKind, number> {
  return { connection: 0, message: 0, recipient: 0, newtls: 0, auth: 0 };
}
