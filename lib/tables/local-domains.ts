/**
 * Is a domain one that this system delivers for with its local transport: listed in mydestination, or an address of the
 * system in brackets (inet_interfaces, proxy_interfaces)? See postconf(5), mydestination.
 */
import { parseAddress } from '../util/ip-address.ts';
import { DomainList, type MatchListOptions } from './match-list.ts';
import type { MaybePromise, TableContext } from './table.ts';

export interface LocalDomainSettings {
  readonly mydestination: string;
  /** Addresses of inet_interfaces and proxy_interfaces, as text without brackets. */
  readonly ownAddresses: readonly string[];
}

export class LocalDomains implements AsyncDisposable {
  readonly #list: DomainList;
  readonly #own: ReadonlySet<string>;

  private constructor(list: DomainList, own: ReadonlySet<string>) {
    this.#list = list;
    this.#own = own;
  }

  static async open(
    settings: LocalDomainSettings,
    context: TableContext,
    options: MatchListOptions = {},
  ): Promise<LocalDomains> {
    const own = new Set(settings.ownAddresses.map(addressKey));
    return new LocalDomains(await DomainList.open('mydestination', settings.mydestination, context, options), own);
  }

  /** Throws, or rejects with, TableError where a table of mydestination fails. One dot at the end is ignored. */
  matches(domain: string): MaybePromise<boolean> {
    const name = domain.endsWith('.') ? domain.slice(0, -1) : domain;
    // `a..` and the empty name are no domains, and no table is asked about them.
    if (name === '' || name.endsWith('.')) return false;
    const listed = this.#list.matches(name);
    return listed instanceof Promise
      ? listed.then((yes) => yes || this.#isOwnAddress(name))
      : listed || this.#isOwnAddress(name);
  }

  #isOwnAddress(name: string): boolean {
    if (!name.startsWith('[') || !name.endsWith(']')) return false;
    return this.#own.has(addressKey(name.slice(1, -1).replace(/^ipv6:/i, '')));
  }

  async close(): Promise<void> {
    await this.#list.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** One spelling for each address. */
function addressKey(text: string): string {
  const bytes = parseAddress(text);
  return bytes === undefined ? text : Buffer.from(bytes).toString('hex');
}
