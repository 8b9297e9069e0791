/** `pipemap:{type:name, …}`: each table looks up what the one before it found (DATABASE_README). */
import { combinedTable } from './combined.ts';
import type { OpenRequest } from './open.ts';
import type { LookupResult, MaybePromise, Table } from './table.ts';

export function openTableType(request: OpenRequest): Promise<Table> {
  return combinedTable(request, (tables, key) => follow(tables, key, 0));
}

function follow(tables: readonly Table[], key: string, from: number): MaybePromise<LookupResult> {
  let value: LookupResult = key;
  for (let at = from; at < tables.length; at++) {
    const found: MaybePromise<LookupResult> = tables[at]!.lookup(value);
    if (found instanceof Promise)
      return found.then((late) => (late === undefined ? undefined : follow(tables, late, at + 1)));
    if (found === undefined) return undefined;
    value = found;
  }
  return value;
}
