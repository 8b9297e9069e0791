/** `internal:name`: a table in memory, empty when opened, that one process fills for itself. */
import { WritableMemoryTable } from './memory-table.ts';
import type { OpenRequest } from './open.ts';
import { type Table, TRUSTED_OWNER } from './table.ts';

export function openTableType(request: OpenRequest): Table {
  return new WritableMemoryTable(request, new Map(), TRUSTED_OWNER);
}
