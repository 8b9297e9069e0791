/**
 * The tables behind `proxy:`, as a service asks the proxymap service for them. Every failure is a temporary one: that the
 * table failed there, that proxy_read_maps does not list it, that nobody answers. The last two are logged, with one line for
 * each table or each time that proxymap goes away; who asks logs what it was looking for.
 */
import { LookupStatus, type Proxymap, Unavailable } from '../clients/protocols.ts';
import { type LookupResult, type ProxyLookup, type ResolvedFlags, TableError } from '../tables/table.ts';
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';

export interface ProxyLookupOptions {
  readonly proxymap: Proxymap;
  /** Its name in master.cf, for messages. */
  readonly service: string;
  warn(text: string): void;
}

export function proxyLookup(options: ProxyLookupOptions): ProxyLookup {
  return new RemoteTables(options);
}

class RemoteTables implements ProxyLookup {
  readonly #options: ProxyLookupOptions;
  readonly #denied = new Set<string>();
  #away = false;

  constructor(options: ProxyLookupOptions) {
    this.#options = options;
  }

  async lookup(table: string, key: string, flags: ResolvedFlags): Promise<LookupResult> {
    const { proxymap } = this.#options;
    try {
      const { status, value, reason } = await proxymap.lookup({ table, key: encodeBytes(key), flags });
      this.#reached();
      switch (status) {
        case LookupStatus.FOUND:
          return decodeBytes(value);
        case LookupStatus.NOT_FOUND:
          return undefined;
        case LookupStatus.DENIED:
          throw this.#deny(table);
        default:
          throw new TableError(`proxy:${table}: ${reason}`);
      }
    } catch (error) {
      throw error instanceof Unavailable ? this.#lost(table, error) : error;
    }
  }

  #reached(): void {
    if (this.#away) this.#options.warn(`service ${this.#options.service} is back`);
    this.#away = false;
  }

  #lost(table: string, { message }: Unavailable): TableError {
    const { service, warn } = this.#options;
    if (!this.#away) warn(`service ${service} does not answer, lookups in proxy: tables fail for now: ${message}`);
    this.#away = true;
    return new TableError(`proxy:${table}: service ${service} does not answer: ${message}`);
  }

  #deny(table: string): TableError {
    const text = `${this.#options.service} service is not configured for table "${table}"`;
    if (!this.#denied.has(table)) this.#options.warn(text);
    this.#denied.add(table);
    return new TableError(text);
  }
}
