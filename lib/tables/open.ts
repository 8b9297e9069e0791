/**
 * Opens lookup tables by `type:name`, and lists of them by the value of a parameter. A type's module is loaded with the
 * first table of that type, so a process that uses no LDAP loads no LDAP client.
 *
 * A table that cannot be opened is logged once with level error and stands there as one whose every lookup is a temporary
 * failure; opening never throws for what is written in main.cf.
 */
import { splitOutsideBraces } from '../util/split.ts';
import { systemErrorText } from './file-value.ts';
import { Maps } from './maps.ts';
import {
  logError,
  type ResolvedFlags,
  resolveFlags,
  type Table,
  type TableContext,
  type TableFlags,
  TableOpenError,
} from './table.ts';
import { UnavailableTable } from './unavailable.ts';

/** What the module of a table type is asked for. */
export interface OpenRequest {
  readonly type: string;
  readonly name: string;
  readonly context: TableContext;
  readonly flags: ResolvedFlags;
}

/** The one function that each type's module exports; throws TableOpenError where the table cannot be opened. */
export interface TableTypeModule {
  openTableType(request: OpenRequest): Table | Promise<Table>;
}

const indexed = (): Promise<TableTypeModule> => import('./indexed.ts');

/** The table types by name, as `postconf -m` lists them. */
const TABLE_TYPES: Readonly<Record<string, () => Promise<TableTypeModule>>> = {
  btree: indexed,
  cdb: indexed,
  cidr: () => import('./cidr.ts'),
  dbm: indexed,
  environ: () => import('./environ.ts'),
  fail: () => import('./fail.ts'),
  hash: indexed,
  inline: () => import('./inline.ts'),
  internal: () => import('./internal.ts'),
  ldap: () => import('./ldap.ts'),
  lmdb: indexed,
  memcache: () => import('./memcache.ts'),
  mysql: () => import('./mysql.ts'),
  nis: () => import('./nis.ts'),
  nisplus: () => import('./nis.ts'),
  pcre: () => import('./pcre.ts'),
  pgsql: () => import('./pgsql.ts'),
  pipemap: () => import('./pipemap.ts'),
  proxy: () => import('./proxy.ts'),
  randmap: () => import('./randmap.ts'),
  regexp: () => import('./regexp.ts'),
  sdbm: indexed,
  socketmap: () => import('./socketmap.ts'),
  sqlite: () => import('./sqlite.ts'),
  static: () => import('./static.ts'),
  tcp: () => import('./tcp.ts'),
  texthash: () => import('./texthash.ts'),
  unionmap: () => import('./unionmap.ts'),
  unix: () => import('./unix.ts'),
};

/** All table types, in alphabetical order. */
export const tableTypes: readonly string[] = Object.keys(TABLE_TYPES).sort();

/** Types whose server proves nothing about who it is. */
const UNAUTHENTICATED_TYPES: ReadonlySet<string> = new Set(['tcp', 'socketmap', 'nis', 'nisplus']);

/** Types whose source postmap turns into an index: a file beside it, or rows in Postgres. */
export const INDEXED_TYPES: ReadonlySet<string> = new Set(['hash', 'btree', 'lmdb', 'cdb', 'dbm', 'sdbm']);

/**
 * Opens one table. The result is always a table: one that cannot be opened answers every lookup with TableError.
 * Throws TableOpenError only where the text has no colon, or nothing on one side of it.
 */
export async function openTable(spec: string, context: TableContext, flags?: TableFlags): Promise<Table> {
  const colon = spec.indexOf(':');
  if (colon < 1 || colon === spec.length - 1)
    throw new TableOpenError(`open dictionary: expecting "type:name" form instead of "${spec}"`);
  const request: OpenRequest = {
    type: spec.slice(0, colon),
    name: spec.slice(colon + 1),
    context,
    flags: resolveFlags(flags),
  };
  try {
    const load = Object.hasOwn(TABLE_TYPES, request.type) ? TABLE_TYPES[request.type] : undefined;
    if (load === undefined) throw new TableOpenError(`unsupported dictionary type: ${request.type}`);
    if (request.flags.noUnauthenticated && UNAUTHENTICATED_TYPES.has(request.type)) {
      throw new TableOpenError(`${spec} map is not allowed for security-sensitive data`);
    }
    const module = await load();
    return await module.openTableType(request);
  } catch (error) {
    const reason = error instanceof TableOpenError ? error.message : `open ${spec}: ${systemErrorText(error)}`;
    logError(context, reason);
    return new UnavailableTable(request, reason);
  }
}

/** Opens the tables that the value of a parameter lists, separated by commas or blanks, to be searched in that order. */
export async function openMaps(
  parameter: string,
  specs: string,
  context: TableContext,
  flags?: TableFlags,
): Promise<Maps> {
  const tables: Table[] = [];
  for (const spec of splitOutsideBraces(specs)) tables.push(await openTable(spec, context, flags));
  return new Maps(parameter, specs, tables, context);
}
