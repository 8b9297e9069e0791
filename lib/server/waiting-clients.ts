/**
 * Clients that have connected while all sessions are taken, first come, first served: what the listen queue of a socket is to a
 * Postfix whose processes are all busy. As that queue it has an end, and who leaves it is gone.
 *
 * Logs a warning when the first client is turned away, and again only after the queue was empty.
 */
import type { Socket } from 'node:net';
import type { Log } from '../util/log.ts';

/** As many as wait at a time: each costs a file descriptor and some kilobytes. */
export const WAITING_LIMIT = 1000;

export class WaitingClients {
  readonly #log: Log;
  readonly #limit: number;
  /** How each is to be taken out of the queue. */
  readonly #leave = new Map<Socket, () => void>();
  #full = false;

  constructor(log: Log, limit = WAITING_LIMIT) {
    this.#log = log;
    this.#limit = limit;
  }

  get size(): number {
    return this.#leave.size;
  }

  /** Takes a client in; one too many is disconnected. */
  add(socket: Socket): void {
    if (this.#leave.size >= this.#limit) {
      if (!this.#full) this.#log.warning(`${this.#limit} clients wait for a session: further ones are disconnected`);
      this.#full = true;
      socket.destroy();
      return;
    }
    const gone = (): void => {
      this.#remove(socket);
      socket.destroy();
    };
    socket.once('end', gone).once('close', gone);
    this.#leave.set(socket, gone);
  }

  #remove(socket: Socket): void {
    const gone = this.#leave.get(socket);
    if (gone === undefined) return;
    socket.off('end', gone).off('close', gone);
    this.#leave.delete(socket);
    if (this.#leave.size === 0) this.#full = false;
  }

  /** The one that has waited longest, no longer among those that wait. */
  next(): Socket | undefined {
    const [first] = this.#leave.keys();
    if (first !== undefined) this.#remove(first);
    return first;
  }

  /** Disconnects all. */
  clear(): void {
    for (const gone of [...this.#leave.values()]) gone();
  }
}
