/**
 * What `pgsql:`, `mysql:` and `sqlite:` tables share: the query from its template, the `domain` filter, result_format,
 * expansion_limit, and the choice among several hosts. See pgsql_table(5), mysql_table(5), sqlite_table(5).
 *
 * A query that fails is a temporary failure, with a warning; a host that fails is left alone for a minute while others
 * answer.
 */
import type { ClientSettings } from './client-settings.ts';
import { FixedTable } from './fixed-table.ts';
import { checkTemplate, expandTemplate, KeyFilter, type Quote } from './key-expansion.ts';
import type { OpenRequest } from './open.ts';
import { type LookupResult, type MaybePromise, TableError, TableOpenError, type TableOwner } from './table.ts';

/** Rows of columns, as text. */
export type SqlRows = readonly (readonly (string | null)[])[];

/** One server, or one database file. */
export interface SqlHost {
  readonly label: string;
  /** Rejects with whatever the driver says. */
  query(sql: string): MaybePromise<SqlRows>;
  close(): Promise<void>;
}

export interface SqlQuerySettings {
  readonly query: string;
  readonly resultFormat: string;
  readonly expansionLimit: number;
  readonly retryIntervalMs: number;
}

/** The query template of a table, also from the four parameters of old. Throws TableOpenError where there is none. */
export function readQuerySettings(settings: ClientSettings): SqlQuerySettings {
  const query = settings.text('query') || legacyQuery(settings);
  const resultFormat = settings.text('result_format', '%s');
  checkTemplate(query, `${settings.source}: query`);
  checkTemplate(resultFormat, `${settings.source}: result_format`);
  return {
    query,
    resultFormat,
    expansionLimit: settings.integer('expansion_limit', 0),
    retryIntervalMs: settings.integer('retry_interval', 60, 1) * 1000,
  };
}

function legacyQuery(settings: ClientSettings): string {
  const selectFunction = settings.text('select_function');
  if (selectFunction !== '') return `SELECT ${selectFunction}('%s')`;
  const [table, select, where] = ['table', 'select_field', 'where_field'].map((name) => settings.text(name)) as [
    string,
    string,
    string,
  ];
  if (table === '' || select === '' || where === '') {
    throw new TableOpenError(`${settings.source}: need query, or table, select_field and where_field`);
  }
  return `SELECT ${select} FROM ${table} WHERE ${where} = '%s' ${settings.text('additional_conditions')}`.trimEnd();
}

/** Ordinary SQL: a quote inside quotes is written twice. */
export const doubleQuotes: Quote = (value) => value.replaceAll("'", "''");

export interface SqlTableParts {
  readonly hosts: readonly SqlHost[];
  readonly settings: SqlQuerySettings;
  readonly filter: KeyFilter;
  readonly quote: Quote;
  readonly owner: TableOwner;
}

export async function openKeyFilter(request: OpenRequest, settings: ClientSettings): Promise<KeyFilter> {
  return await KeyFilter.open(request, settings.text('domain'));
}

export class SqlTable extends FixedTable {
  readonly #parts: SqlTableParts;
  /** Until when a host that failed is not asked, by its label. */
  readonly #restUntil = new Map<string, number>();

  constructor(request: OpenRequest, parts: SqlTableParts) {
    super(request.type, request.name, parts.owner, request.context, request.flags);
    this.#parts = parts;
  }

  protected async find(key: string): Promise<LookupResult> {
    const { filter, settings, quote } = this.#parts;
    // No database takes a null character in a text; no row can have it.
    if (key.includes('\0') || !(await filter.accepts(key))) return undefined;
    const sql = expandTemplate(settings.query, key, quote);
    if (sql === undefined || expandTemplate(settings.resultFormat, key, quote, 'u@d') === undefined) return undefined;
    return this.#format(key, await this.#ask(sql));
  }

  /** Asks the hosts in random order, those that failed lately last. */
  async #ask(sql: string): Promise<SqlRows> {
    const now = performance.now();
    const order = this.#parts.hosts
      .map((host) => ({ host, rank: Math.random() + ((this.#restUntil.get(host.label) ?? 0) > now ? 1 : 0) }))
      .sort((a, b) => a.rank - b.rank);
    for (const { host } of order) {
      try {
        const rows = await host.query(sql);
        this.#restUntil.delete(host.label);
        return rows;
      } catch (error) {
        this.context.warn(`${this.type}:${this.name}: query failed on ${host.label}: ${(error as Error).message}`);
        this.#restUntil.set(host.label, performance.now() + this.#parts.settings.retryIntervalMs);
      }
    }
    throw new TableError(`${this.type}:${this.name}: no server answers`);
  }

  #format(key: string, rows: SqlRows): LookupResult {
    const { resultFormat, expansionLimit } = this.#parts.settings;
    const values: string[] = [];
    for (const row of rows) {
      for (const column of row) {
        if (column === null || column === '') continue;
        const value = expandTemplate(resultFormat, key, (text) => text, column);
        if (value === undefined) continue;
        values.push(value);
        if (expansionLimit > 0 && values.length > expansionLimit) {
          const text = `${this.type}:${this.name}: expansion limit exceeded for key: '${key}'`;
          this.context.warn(text);
          throw new TableError(text);
        }
      }
    }
    return values.length === 0 ? undefined : values.join(',');
  }

  override async close(): Promise<void> {
    await this.#parts.filter.close();
    for (const host of this.#parts.hosts) await host.close();
  }
}
