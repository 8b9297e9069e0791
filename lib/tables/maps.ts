/**
 * A list of tables under the name of the parameter that lists them (`virtual_alias_maps`): the first one that knows the
 * key answers. A temporary failure ends the search, because a later table must not answer in place of an earlier one.
 */
import { type LookupResult, type MaybePromise, type Table, type TableContext, TableError } from './table.ts';

export interface MapsLookupOptions {
  /** The key is a part of what is looked for: only tables of fixed strings are asked. */
  readonly partial?: boolean;
}

export class Maps implements AsyncDisposable {
  /** The parameter that the list came from. */
  readonly parameter: string;
  readonly specs: string;
  readonly tables: readonly Table[];
  #warn: (text: string) => void;

  constructor(parameter: string, specs: string, tables: readonly Table[], context: Pick<TableContext, 'warn'>) {
    this.parameter = parameter;
    this.specs = specs;
    this.tables = tables;
    this.#warn = (text) => context.warn(text);
  }

  get isEmpty(): boolean {
    return this.tables.length === 0;
  }

  /**
   * The value of a key in the first table that has it. Throws, or rejects with, TableError, after a warning that names
   * the table and the key. The empty key is in no table; an empty value is a mistake in the table and a failure.
   */
  lookup(key: string, options: MapsLookupOptions = {}): MaybePromise<LookupResult> {
    if (key === '') return undefined;
    return this.#search(key, options.partial ?? false, 0);
  }

  #search(key: string, partial: boolean, from: number): MaybePromise<LookupResult> {
    for (let at = from; at < this.tables.length; at++) {
      const table = this.tables[at]!;
      if (partial && !table.partialKeys) continue;
      let found: MaybePromise<LookupResult>;
      try {
        found = table.lookup(key);
      } catch (error) {
        throw this.#failure(table, key, error);
      }
      if (found instanceof Promise) return this.#continue(found, table, key, partial, at + 1);
      if (found === '') throw this.#emptyValue(table, key);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #continue(
    found: Promise<LookupResult>,
    table: Table,
    key: string,
    partial: boolean,
    next: number,
  ): Promise<LookupResult> {
    let value: LookupResult;
    try {
      value = await found;
    } catch (error) {
      throw this.#failure(table, key, error);
    }
    if (value === '') throw this.#emptyValue(table, key);
    if (value !== undefined) return value;
    return this.#search(key, partial, next);
  }

  #emptyValue(table: Table, key: string): TableError {
    this.#warn(`${this.parameter} lookup of ${key} returns an empty string result`);
    this.#warn(`${this.parameter} should return NO RESULT in case of NOT FOUND: ${table.type}:${table.name}`);
    return new TableError(`${table.type}:${table.name}: empty result for ${key}`);
  }

  #failure(table: Table, key: string, error: unknown): unknown {
    if (!(error instanceof TableError)) return error;
    this.#warn(`${table.type}:${table.name} lookup error for "${key}"`);
    return error;
  }

  async close(): Promise<void> {
    for (const table of this.tables) await table.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
