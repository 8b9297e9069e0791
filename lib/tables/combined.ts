/** What `unionmap:` and `pipemap:` share: a list of tables in braces, and one answer made of theirs. */
import { splitOutsideBraces, unbrace } from '../util/split.ts';
import { FixedTable } from './fixed-table.ts';
import { type OpenRequest, openTable } from './open.ts';
import {
  type LookupResult,
  type MaybePromise,
  type Table,
  TableOpenError,
  type TableOwner,
  TRUSTED_OWNER,
  UNSPECIFIED_OWNER,
} from './table.ts';

type Combine = (tables: readonly Table[], key: string) => MaybePromise<LookupResult>;

class CombinedTable extends FixedTable {
  override readonly partialKeys: boolean;
  readonly #tables: readonly Table[];
  readonly #combine: Combine;

  constructor(request: OpenRequest, tables: readonly Table[], combine: Combine) {
    super(request.type, request.name, leastTrusted(tables), request.context, request.flags);
    this.#tables = tables;
    this.#combine = combine;
    this.partialKeys = tables.every((table) => table.partialKeys);
  }

  // Each table folds as it needs; a pattern among them sees the key as it came.
  override lookup(key: string): MaybePromise<LookupResult> {
    return this.find(key);
  }

  protected find(key: string): MaybePromise<LookupResult> {
    return this.#combine(this.#tables, key);
  }

  override async close(): Promise<void> {
    for (const table of this.#tables) await table.close();
  }
}

/** Opens the tables that the name lists. Throws TableOpenError where it is no list in braces. */
export async function combinedTable(request: OpenRequest, combine: Combine): Promise<Table> {
  const need = `"${request.type}:${request.name}"; need "${request.type}:{type:name...}"`;
  const outer = request.name.startsWith('{') ? unbrace(request.name) : { text: '', error: 'bad syntax' };
  if (outer.error !== undefined) throw new TableOpenError(`bad syntax: ${need}`);
  const specs = splitOutsideBraces(outer.text);
  if (specs.length === 0) throw new TableOpenError(`bad syntax: ${need}`);
  const wrong = specs.find((spec) => spec.indexOf(':') < 1);
  if (wrong !== undefined) throw new TableOpenError(`bad syntax: ${need}`);
  const tables: Table[] = [];
  for (const spec of specs) tables.push(await openTable(spec, request.context, request.flags));
  return new CombinedTable(request, tables, combine);
}

/** A combination is trusted as far as the least trusted of its tables. */
function leastTrusted(tables: readonly Table[]): TableOwner {
  let owner = TRUSTED_OWNER;
  for (const table of tables) {
    if (table.owner.status === 'unspecified') return UNSPECIFIED_OWNER;
    if (table.owner.status === 'trusted') continue;
    if (owner.status === 'untrusted' && owner.uid !== table.owner.uid) return UNSPECIFIED_OWNER;
    owner = table.owner;
  }
  return owner;
}
