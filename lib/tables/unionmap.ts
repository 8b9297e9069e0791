/** `unionmap:{type:name, …}`: the results of all tables that know the key, joined by commas (DATABASE_README). */
import { combinedTable } from './combined.ts';
import type { OpenRequest } from './open.ts';
import type { LookupResult, MaybePromise, Table } from './table.ts';

export function openTableType(request: OpenRequest): Promise<Table> {
  return combinedTable(request, (tables, key) => collect(tables, key, 0, []));
}

function collect(
  tables: readonly Table[],
  key: string,
  from: number,
  found: readonly string[],
): MaybePromise<LookupResult> {
  const values = [...found];
  for (let at = from; at < tables.length; at++) {
    const value = tables[at]!.lookup(key);
    if (value instanceof Promise) {
      return value.then((late) => collect(tables, key, at + 1, late === undefined ? values : [...values, late]));
    }
    if (value !== undefined) values.push(value);
  }
  return values.length === 0 ? undefined : values.join(',');
}
