/**
 * How many clients are busy: those whose connection is open and who were heard within the last moments. A client that sends
 * one message after the other is among them, with a connection each as well: the one that it closed no longer counts. One
 * that keeps its connection for later does not. Pure but for the clock that the caller reads.
 */

/** Milliseconds: a few turns of a client that waits for each reply. */
const WINDOW = 16;

/** What is remembered of a client. */
export interface Heard {
  /** The last window in which it was heard, or NEVER. */
  heardIn: number;
}

/** No window, nor the one before any. */
export const NEVER = -2;

export class ActiveClients {
  #window = 0;
  /** Open clients that were heard last in this window, and in the one before. */
  #now = 0;
  #before = 0;

  #roll(now: number): void {
    const window = Math.floor(now / WINDOW);
    if (window === this.#window) return;
    this.#before = window === this.#window + 1 ? this.#now : 0;
    this.#now = 0;
    this.#window = window;
  }

  /** A client came or sent something; `now` in milliseconds. */
  heard(client: Heard, now: number): void {
    this.#roll(now);
    if (client.heardIn === this.#window) return;
    if (client.heardIn === this.#window - 1) this.#before -= 1;
    client.heardIn = this.#window;
    this.#now += 1;
  }

  /** A client's connection is closed. */
  gone(client: Heard, now: number): void {
    this.#roll(now);
    if (client.heardIn === this.#window) this.#now -= 1;
    else if (client.heardIn === this.#window - 1) this.#before -= 1;
  }

  count(now: number): number {
    this.#roll(now);
    return this.#now + this.#before;
  }
}
