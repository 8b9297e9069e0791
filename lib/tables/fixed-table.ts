/**
 * What tables of fixed strings have in common: a key is folded and checked for UTF-8 before it is looked up.
 */
import { printable } from '../util/byte-text.ts';
import { caseFold } from '../util/case-fold.ts';
import type { LookupResult, MaybePromise, ResolvedFlags, Table, TableContext, TableOwner } from './table.ts';

export const NOT_UTF8 = 'malformed UTF-8 or invalid codepoint';

/** True where the key may be looked up; otherwise a line is logged and the key counts as absent. */
export function acceptableKey(
  table: { type: string; name: string },
  key: string,
  flags: ResolvedFlags,
  context: TableContext,
): boolean {
  if (!flags.utf8 || key.isWellFormed()) return true;
  context.warn(`${table.type}:${table.name}: non-UTF-8 key "${printable(key)}": ${NOT_UTF8}`);
  return false;
}

/** The base of types that answer from a function of the folded key. */
export abstract class FixedTable implements Table {
  readonly type: string;
  readonly name: string;
  readonly partialKeys: boolean = true;
  readonly owner: TableOwner;
  protected readonly context: TableContext;
  protected readonly flags: ResolvedFlags;

  constructor(type: string, name: string, owner: TableOwner, context: TableContext, flags: ResolvedFlags) {
    this.type = type;
    this.name = name;
    this.owner = owner;
    this.context = context;
    this.flags = flags;
  }

  lookup(key: string): MaybePromise<LookupResult> {
    if (!acceptableKey(this, key, this.flags, this.context)) return undefined;
    return this.find(this.flags.foldFixed ? caseFold(key, this.flags.utf8) : key);
  }

  /** The value of a key that is already folded. */
  protected abstract find(key: string): MaybePromise<LookupResult>;

  close(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
