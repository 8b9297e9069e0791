/**
 * `proxy:type:name`: the table is opened and asked by the proxymap service, so that few connections to databases are open.
 * Where the process has no such service at hand (postmap, tests, a service that runs alone) the table is opened here, and
 * so is one of security-sensitive data, as proxymap(8) says under SECURITY.
 */
import { splitOutsideBraces, unbrace } from '../util/split.ts';
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

/** Types whose keys are matched as a whole. It is known from the name alone, so that opening asks nobody. */
const WHOLE_KEY_TYPES = new Set(['regexp', 'pcre', 'cidr', 'tcp', 'socketmap', 'randmap']);

/** A combination matches whole keys as soon as one of its tables does. */
function hasWholeKeys(spec: string): boolean {
  const colon = spec.indexOf(':');
  const type = spec.slice(0, colon);
  const name = spec.slice(colon + 1);
  if (type === 'proxy') return hasWholeKeys(name);
  if (type !== 'unionmap' && type !== 'pipemap') return WHOLE_KEY_TYPES.has(type);
  return name.startsWith('{') && splitOutsideBraces(unbrace(name).text).some(hasWholeKeys);
}

class ProxyTable extends FixedTable {
  override readonly partialKeys: boolean;
  readonly #proxy: ProxyLookup;

  constructor(request: OpenRequest, proxy: ProxyLookup) {
    super(request.type, request.name, UNSPECIFIED_OWNER, request.context, request.flags);
    this.#proxy = proxy;
    this.partialKeys = !hasWholeKeys(request.name);
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
  if (name.indexOf(':') < 1) throw new TableOpenError(`proxy:${name}: need "proxy:type:name"`);
  const direct = flags.noProxy || context.proxy === undefined;
  return direct ? await openTable(name, context, flags) : new ProxyTable(request, context.proxy);
}
