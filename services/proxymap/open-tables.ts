/** The tables that proxymap holds open: one for each `type:name` and way of opening it. */
import type { LookupRequest } from '../../lib/clients/protocols.ts';
import { openTable } from '../../lib/tables/open.ts';
import type { Table, TableContext } from '../../lib/tables/table.ts';

type Flags = LookupRequest['flags'];

export class OpenTables implements AsyncDisposable {
  readonly #context: TableContext;
  readonly #tables = new Map<string, Promise<Table>>();

  constructor(context: TableContext) {
    this.#context = context;
  }

  /** The table, opened with the first call; one that cannot be opened answers with TableError. */
  get(spec: string, flags: Flags): Promise<Table> {
    const key = `${bits(flags)} ${spec}`;
    let table = this.#tables.get(key);
    if (table === undefined) {
      table = openTable(spec, this.#context, flags ?? {});
      this.#tables.set(key, table);
    }
    return table;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#tables.values()];
    this.#tables.clear();
    for (const table of open) await (await table).close();
  }
}

function bits(flags: Flags): string {
  if (flags === undefined) return '';
  const { foldFixed, foldPatterns, utf8, valueIsFile, noSubstitution, noUnauthenticated } = flags;
  return [foldFixed, foldPatterns, utf8, valueIsFile, noSubstitution, noUnauthenticated].map(Number).join('');
}
