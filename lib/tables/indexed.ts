/**
 * `hash: btree: lmdb: cdb: dbm: sdbm:` tables: rows that postmap or postalias made from a source. All six names mean the
 * same here. In a fleet the rows are in Postgres; without it they are in an index file beside the source; where neither
 * exists the source itself is read.
 */
import { resolve } from 'node:path';
import type { OpenRequest } from './open.ts';
import { openIndexedTable } from './row-file.ts';
import type { Table } from './table.ts';

export async function openTableType(request: OpenRequest): Promise<Table> {
  const { context, flags, type } = request;
  if (context.database === undefined) return await openIndexedTable(request);
  const path = resolve(context.directory, request.name);
  return await context.database.open(type, path, context, flags, () => openIndexedTable(request));
}
