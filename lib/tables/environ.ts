/** `environ:label`: the environment of the process; the label means nothing (DATABASE_README). */
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { type LookupResult, type Table, TRUSTED_OWNER } from './table.ts';

class EnvironTable extends FixedTable {
  protected find(key: string): LookupResult {
    return this.context.environment?.[key];
  }

  *entries(): Generator<readonly [string, string]> {
    for (const [name, value] of Object.entries(this.context.environment ?? {}))
      if (value !== undefined) yield [name, value];
  }
}

export function openTableType(request: OpenRequest): Table {
  return new EnvironTable(request.type, request.name, TRUSTED_OWNER, request.context, request.flags);
}
