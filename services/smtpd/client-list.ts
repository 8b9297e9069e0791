/**
 * A list of clients (mynetworks and its like) that remembers what it said of a client for a second: a client that comes
 * again costs a look into a map, and a change of a table is seen as fast as anywhere else.
 */
import type { NamaddrList } from '../../lib/tables/match-list.ts';
import type { MaybePromise } from '../../lib/util/maybe-promise.ts';

const LIFETIME = 1000;
const ENTRIES = 10_000;

export class ClientList {
  readonly #list: NamaddrList;
  /** By address; a client has one name at a time. */
  readonly #known = new Map<string, { readonly name: string; readonly listed: boolean }>();
  #since = 0;

  constructor(list: NamaddrList) {
    this.#list = list;
  }

  /** Throws, or rejects with, TableError on a temporary failure, which is not remembered. */
  matches(name: string, address: string): MaybePromise<boolean> {
    if (this.#list.isEmpty) return false;
    const now = performance.now();
    if (now - this.#since > LIFETIME || this.#known.size >= ENTRIES) {
      this.#known.clear();
      this.#since = now;
    }
    const known = this.#known.get(address);
    if (known !== undefined && known.name === name) return known.listed;
    const listed = this.#list.matches(name, address);
    if (!(listed instanceof Promise)) this.#known.set(address, { name, listed });
    return listed;
  }

  close(): Promise<void> {
    return this.#list.close();
  }
}
