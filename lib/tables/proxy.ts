/**
 * `proxy:type:name`: the table is opened and asked by the proxymap service, so that few connections to databases are open.
 * Where the process has no such service at hand (postmap, tests, a service that runs alone) the table is opened here.
 */
import { FixedTable } from './fixed-table.ts';
import { type OpenRequest, openTable } from './open.ts';
import {
  type LookupResult,
  type MaybePromise,
  type ProxyLookup,
  type Table,
  TableOpenError,
  UNSPECIFIED_OWNER,
} from './table.ts';

/** Types whose keys are matched as a whole; the answer of the service does not say. */
const WHOLE_KEY_TYPES = new Set(['regexp', 'pcre', 'cidr', 'tcp', 'socketmap', 'randmap']);

class ProxyTable extends FixedTable {
  override readonly partialKeys: boolean;
  readonly #proxy: ProxyLookup;

  constructor(request: OpenRequest, proxy: ProxyLookup) {
    super(request.type, request.name, UNSPECIFIED_OWNER, request.context, request.flags);
    this.#proxy = proxy;
    this.partialKeys = !WHOLE_KEY_TYPES.has(request.name.slice(0, request.name.indexOf(':')));
  }

  // The service folds, since it knows the kind of the table.
  override lookup(key: string): MaybePromise<LookupResult> {
    return this.find(key);
  }

  protected find(key: string): MaybePromise<LookupResult> {
    return this.#proxy.lookup(this.name, key, this.flags, this.context.signal);
  }
}

export async function openTableType(request: OpenRequest): Promise<Table> {
  const { context, flags, name } = request;
  if (flags.noProxy) throw new TableOpenError(`proxy:${name} is not allowed for security-sensitive data`);
  if (name.indexOf(':') < 1) throw new TableOpenError(`proxy:${name}: need "proxy:type:name"`);
  return context.proxy === undefined ? await openTable(name, context, flags) : new ProxyTable(request, context.proxy);
}
