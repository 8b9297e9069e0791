/**
 * Clients that have connected while all sessions are taken, first come, first served: what the listen queue of a socket is to a
 * Postfix whose processes are all busy. As that queue it has an end, and who leaves it is gone.
 *
 * Logs a warning when the first client is turned away, and again only after the queue was empty.
 */
import type { Log } from '../util/log.ts';
import type { Connection } from './connection.ts';

/** As many as wait at a time: each costs a file descriptor and some kilobytes. */
export const WAITING_LIMIT = 1000;

export class WaitingClients {
  readonly #log: Log;
  readonly #limit: number;
  readonly #waiting = new Set<Connection>();
  #full = false;

  constructor(log: Log, limit = WAITING_LIMIT) {
    this.#log = log;
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Takes a client in; one too many is disconnected. */
  add(connection: Connection): void {
    if (this.#waiting.size >= this.#limit) {
      if (!this.#full) this.#log.warning(`${this.#limit} clients wait for a session: further ones are disconnected`);
      this.#full = true;
      connection.destroy();
      return;
    }
    this.#waiting.add(connection);
    connection.wait(() => this.#disconnect(connection));
  }

  /** False where it does not wait any more. */
  #remove(connection: Connection): boolean {
    const waited = this.#waiting.delete(connection);
    if (this.#waiting.size === 0) this.#full = false;
    return waited;
  }

  #disconnect(connection: Connection): void {
    if (this.#remove(connection)) connection.destroy();
  }

  /** The one that has waited longest, no longer among those that wait. */
  next(): Connection | undefined {
    const [first] = this.#waiting;
    if (first !== undefined) this.#remove(first);
    return first;
  }

  /** Disconnects all. */
  clear(): void {
    for (const connection of [...this.#waiting]) this.#disconnect(connection);
  }
}
