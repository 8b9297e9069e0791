/** A table of fixed strings whose rows are in memory and do not change: the ground of `inline:` and `internal:`. */
import { printable } from '../util/byte-text.ts';
import { caseFold } from '../util/case-fold.ts';
import { FixedTable, NOT_UTF8 } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import type { LookupResult, TableOwner, WritableTable } from './table.ts';

export class MemoryTable extends FixedTable {
  protected readonly rows: Map<string, string>;

  /** Keys of `rows` are folded already where the flags ask for it. */
  constructor(request: OpenRequest, rows: Map<string, string>, owner: TableOwner) {
    super(request.type, request.name, owner, request.context, request.flags);
    this.rows = rows;
  }

  protected find(key: string): LookupResult {
    return this.rows.get(key);
  }

  entries(): Iterable<readonly [string, string]> {
    return this.rows.entries();
  }
}

/** The same, for writing: `internal:name`, empty when opened. */
export class WritableMemoryTable extends MemoryTable implements WritableTable {
  put(key: string, value: string): void {
    const { flags, context } = this;
    if (flags.utf8 && !key.isWellFormed()) {
      context.warn(`${this.type}:${this.name}: non-UTF-8 key "${printable(key)}": ${NOT_UTF8}`);
    } else if (flags.utf8 && !value.isWellFormed()) {
      context.warn(
        `${this.type}:${this.name}: key "${printable(key)}": non-UTF-8 value "${printable(value)}": ${NOT_UTF8}`,
      );
    } else this.rows.set(flags.foldFixed ? caseFold(key, flags.utf8) : key, value);
  }

  delete(key: string): boolean {
    return this.rows.delete(this.flags.foldFixed ? caseFold(key, this.flags.utf8) : key);
  }
}
