/**
 * The settings of a table's client: a file in main.cf format where the name begins with a slash or a dot, else the
 * parameters `name_hosts`, `name_query` and so on of main.cf (pgsql_table(5), OBSOLETE MAIN.CF PARAMETERS).
 */
import { resolve } from 'node:path';
import { readMainCf } from '../config/main-cf.ts';
import { parseBoolean, parseInteger } from '../config/values.ts';
import { FatalError } from '../util/errors.ts';
import type { OpenRequest } from './open.ts';
import { TableOpenError } from './table.ts';

export class ClientSettings {
  /** The file or the prefix, for messages. */
  readonly source: string;
  readonly #get: (name: string) => string | undefined;

  private constructor(source: string, get: (name: string) => string | undefined) {
    this.source = source;
    this.#get = get;
  }

  /** Throws TableOpenError where the file cannot be read or parsed. */
  static read(request: OpenRequest): ClientSettings {
    const { name, context } = request;
    if (!/^[./]/.test(name))
      return new ClientSettings(name, (parameter) => context.parameter?.(`${name}_${parameter}`));
    try {
      const { entries, warnings } = readMainCf(resolve(context.directory, name));
      for (const warning of warnings) context.warn(warning);
      return new ClientSettings(name, (parameter) => entries.get(parameter)?.value);
    } catch (error) {
      throw error instanceof FatalError ? new TableOpenError(error.message) : error;
    }
  }

  text(name: string, byDefault = ''): string {
    return this.#get(name) ?? byDefault;
  }

  isSet(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  integer(name: string, byDefault: number, min = 0): number {
    return this.#read(
      name,
      byDefault,
      (text) => {
        const value = parseInteger(text);
        return value === undefined || value < min ? undefined : value;
      },
      `a number from ${min} on`,
    );
  }

  boolean(name: string, byDefault: boolean): boolean {
    return this.#read(name, byDefault, parseBoolean, 'yes or no');
  }

  #read<T>(name: string, byDefault: T, parse: (text: string) => T | undefined, expected: string): T {
    const text = this.#get(name);
    if (text === undefined) return byDefault;
    const value = parse(text.trim());
    if (value === undefined)
      throw new TableOpenError(`${this.source}: bad value for ${name}: "${text}": expected ${expected}`);
    return value;
  }
}
