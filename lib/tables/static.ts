/** `static:value` and `static:{ value with blanks }`: every key has that value (DATABASE_README). */
import { unbrace } from '../util/split.ts';
import { encodeFiles } from './file-value.ts';
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { type LookupResult, type Table, TableOpenError, TRUSTED_OWNER } from './table.ts';

class StaticTable extends FixedTable {
  // A whole address and its parts have the same value: asking for the parts could only delay the answer, as in Postfix,
  // where the table counts as one of fixed strings.
  #value: string;

  constructor(request: OpenRequest, value: string) {
    super(request.type, request.name, TRUSTED_OWNER, request.context, request.flags);
    this.#value = value;
  }

  protected find(): LookupResult {
    return this.#value;
  }
}

export function openTableType(request: OpenRequest): Table {
  let value = request.name;
  if (value.startsWith('{')) {
    const braced = unbrace(value);
    if (braced.error !== undefined) throw new TableOpenError(`bad static:name syntax: ${braced.error}`);
    value = braced.text;
  }
  if (request.flags.valueIsFile) value = encodeFiles(value, request.context.directory);
  return new StaticTable(request, value);
}
