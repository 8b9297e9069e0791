/** `randmap:{value, …}`: one of the values, chosen at random for each lookup (DATABASE_README). */
import { randomInt } from 'node:crypto';
import { splitOutsideBraces, unbrace } from '../util/split.ts';
import { encodeFiles } from './file-value.ts';
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { type LookupResult, type Table, TableOpenError, TRUSTED_OWNER } from './table.ts';

class RandomTable extends FixedTable {
  // A pattern in Postfix's sense: asking again for a part of the key would only draw again.
  override readonly partialKeys = false;
  readonly #values: readonly string[];

  constructor(request: OpenRequest, values: readonly string[]) {
    super(request.type, request.name, TRUSTED_OWNER, request.context, request.flags);
    this.#values = values;
  }

  protected find(): LookupResult {
    return this.#values[randomInt(this.#values.length)];
  }
}

export function openTableType(request: OpenRequest): Table {
  const { flags, name } = request;
  const need = `"randmap:${name}"; need "randmap:{${flags.valueIsFile ? 'filename' : 'value'}...}"`;
  const outer = name.startsWith('{') ? unbrace(name) : { text: '', error: 'bad syntax' };
  const items = splitOutsideBraces(outer.text);
  if (outer.error !== undefined || items.length === 0) throw new TableOpenError(`bad syntax: ${need}`);
  const values = items.map((item) => {
    const braced = item.startsWith('{') ? unbrace(item) : { text: item };
    if (braced.error !== undefined) throw new TableOpenError(`${braced.error}: ${need}`);
    return flags.valueIsFile ? encodeFiles(braced.text, request.context.directory) : braced.text;
  });
  return new RandomTable(request, values);
}
