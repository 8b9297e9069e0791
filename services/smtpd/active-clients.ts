/**
 * How many clients are busy: those that were heard within the last moments. A client that sends one message after the
 * other is among them, one that keeps its connection for later is not. Pure but for the clock that the caller reads.
 */

/** Milliseconds: a few turns of a client that waits for each reply. */
const WINDOW = 16;

/** What is remembered of a client. */
export interface Heard {
  /** The last window in which it was heard. */
  heardIn: number;
}

export class ActiveClients {
  #window = 0;
  #count = 0;
  #before = 0;

  #roll(now: number): void {
    const window = Math.floor(now / WINDOW);
    if (window === this.#window) return;
    this.#before = window === this.#window + 1 ? this.#count : 0;
    this.#count = 0;
    this.#window = window;
  }

  /** A client sent something; `now` in milliseconds. */
  heard(client: Heard, now: number): void {
    this.#roll(now);
    if (client.heardIn === this.#window) return;
    client.heardIn = this.#window;
    this.#count += 1;
  }

  count(now: number): number {
    this.#roll(now);
    return Math.max(this.#count, this.#before);
  }
}
