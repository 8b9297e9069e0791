/**
 * What every lookup table is: a `type:name` that answers a key with a value, with nothing, or with a temporary failure.
 * The types themselves stand one to a file beside this one; `open.ts` knows them by name. See postfix DATABASE_README.
 *
 * Keys and values are strings, one character per decoded UTF-8 character. Bytes that are not UTF-8 are carried as the
 * lone surrogates of lib/util/byte-text.ts, so nothing is lost on the way; a table that was opened with `utf8` refuses them.
 */

/** The value found, or undefined where the table has no such key. */
export type LookupResult = string | undefined;

import type { MaybePromise } from '../util/maybe-promise.ts';

export type { MaybePromise };

/** A temporary lookup failure: the answer is not known. The message is for the log, in Postfix's words. */
export class TableError extends Error {
  override readonly name = 'TableError';
}

/** Who may have changed the table: local(8) runs commands of an alias with the rights of the table's owner. */
export interface TableOwner {
  readonly status: 'trusted' | 'untrusted' | 'unspecified';
  readonly uid: number;
}

export const TRUSTED_OWNER: TableOwner = { status: 'trusted', uid: 0 };
export const UNSPECIFIED_OWNER: TableOwner = { status: 'unspecified', uid: -1 };

/** The owner of a file, or of a text that came from a process with that user id. */
export function ownerFromUserId(uid: number): TableOwner {
  return { status: uid === 0 ? 'trusted' : 'untrusted', uid };
}

export interface Table extends AsyncDisposable {
  /** `hash`, `inline`, `pgsql`, … */
  readonly type: string;
  /** What follows the first colon of `type:name`, as written. */
  readonly name: string;
  /** False where a key is matched as a whole (regexp, pcre, cidr, tcp): no lookup of parent domains or bare localparts. */
  readonly partialKeys: boolean;
  readonly owner: TableOwner;
  /** Answers at once where the table is in memory. Throws, or rejects with, TableError on a temporary failure. */
  lookup(key: string): MaybePromise<LookupResult>;
  /** All entries, in the table's own order; absent where the type cannot list them. */
  entries?(): Iterable<readonly [string, string]> | AsyncIterable<readonly [string, string]>;
  close(): Promise<void>;
}

/** A table that programs write into: the indexed types while postmap has them open, and `internal:`. */
export interface WritableTable extends Table {
  put(key: string, value: string): MaybePromise<void>;
  /** True where the key was there. */
  delete(key: string): MaybePromise<boolean>;
}

export function isWritable(table: Table): table is WritableTable {
  return 'put' in table && 'delete' in table;
}

/** How a table is opened. All are off unless said otherwise. */
export interface TableFlags {
  /** Fold keys to lower case, in tables of fixed strings. On by default: no daemon looks up case-sensitively. */
  readonly foldFixed?: boolean;
  /** Fold keys to lower case also for tables of patterns. */
  readonly foldPatterns?: boolean;
  /** Keys and values must be UTF-8, and folding covers all of Unicode (smtputf8_enable). On by default. */
  readonly utf8?: boolean;
  /** The right-hand side names files; the value is their content in base64 (tls_server_sni_maps). */
  readonly valueIsFile?: boolean;
  /** No `$1` in results of patterns: the caller does not trust the key (alias_maps in local(8)). */
  readonly noSubstitution?: boolean;
  /** `proxy:` is passed over, and the table opened here: what it says decides as whom something is done. */
  readonly noProxy?: boolean;
  /** Tables that do not say who owns them are refused. */
  readonly noUnauthenticated?: boolean;
}

/**
 * For tables that say as whom something is done, or where: no part of somebody's address gets into the answer, and the
 * answer comes from nobody who could not be made to prove who he is.
 */
export const SENSITIVE: TableFlags = { noSubstitution: true, noProxy: true, noUnauthenticated: true };

/** TableFlags with nothing left open. */
export type ResolvedFlags = Required<TableFlags>;

export function resolveFlags(flags: TableFlags = {}): ResolvedFlags {
  return {
    foldFixed: flags.foldFixed ?? true,
    foldPatterns: flags.foldPatterns ?? false,
    utf8: flags.utf8 ?? true,
    valueIsFile: flags.valueIsFile ?? false,
    noSubstitution: flags.noSubstitution ?? false,
    noProxy: flags.noProxy ?? false,
    noUnauthenticated: flags.noUnauthenticated ?? false,
  };
}

/** The rows of indexed tables that a fleet keeps in Postgres; implemented in postgres-rows.ts. */
export interface IndexedRows {
  /** The table made from the source with that path; `openLocal` serves while the database has none of that name. */
  open(
    type: string,
    path: string,
    context: TableContext,
    flags: ResolvedFlags,
    openLocal: () => Promise<Table>,
  ): Promise<Table>;
}

/** The lookups that another process makes for this one: the client of the proxymap service. */
export interface ProxyLookup {
  lookup(spec: string, key: string, flags: ResolvedFlags, signal: AbortSignal): MaybePromise<LookupResult>;
}

/** What a table needs from the service that opens it. */
export interface TableContext {
  /** Base of relative file names: the configuration directory, or the working directory of a command. */
  readonly directory: string;
  /** Logs one line with level `warning`. */
  warn(text: string): void;
  /** Logs one line with level `error`; `warn` where absent. */
  error?(text: string): void;
  /** Ends timers, connections and workers of the table. */
  readonly signal: AbortSignal;
  /** A main.cf parameter by name, for tables whose source is `name_parameter` in main.cf (`ldap:name`); undefined where unset. */
  readonly parameter?: (name: string) => string | undefined;
  /** Indexed tables in Postgres; local files alone where absent. */
  readonly database?: IndexedRows;
  /** proxymap; `proxy:` tables are opened in this process where absent. */
  readonly proxy?: ProxyLookup;
  /** Whose rules in-line patterns are; the user of this process where absent. */
  readonly userId?: number;
  /** The environment for `environ:` tables; empty where absent. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export function logError(context: TableContext, text: string): void {
  (context.error ?? context.warn).call(context, text);
}

/** A table cannot be opened for a reason that stands in its specification or its file; the message names both. */
export class TableOpenError extends Error {
  override readonly name = 'TableOpenError';
}
