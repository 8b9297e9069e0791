/**
 * Which files below the configuration directory main.cf and master.cf read as lookup tables, and how: by their `type:path`
 * references. Pure.
 */
import { INDEXED_TYPES, tableTypes } from '../tables/open.ts';

export interface TableUse {
  readonly type: string;
  /** File name in the configuration directory. */
  readonly name: string;
}

/** Types whose argument is a file that is read as it is. */
const FILE_TYPES: ReadonlySet<string> = new Set([
  'cidr',
  'pcre',
  'regexp',
  'texthash',
  'pgsql',
  'mysql',
  'ldap',
  'sqlite',
  'memcache',
]);
const TOO_LONG = 65_536;

export interface TableUses {
  readonly files: readonly TableUse[];
  /** By a type that there is not: nothing can be looked up in these. */
  readonly unknown: readonly TableUse[];
}

/** The references to files of the directory in the value of a parameter. */
export function tablesIn(value: string, directory: string): TableUses {
  const all = references(value, directory);
  return {
    files: all.filter(({ type }) => INDEXED_TYPES.has(type) || FILE_TYPES.has(type)),
    unknown: all.filter(({ type }) => !tableTypes.includes(type)),
  };
}

function references(value: string, directory: string): TableUse[] {
  if (value.length > TOO_LONG) return [];
  const found: TableUse[] = [];
  for (const word of value.split(/[\s,{}]+/)) {
    // "proxy:hash:/etc/postfix/virtual" reads the same file; a pipemap has its own braces, which are gone by here.
    const [path = '', type] = word.split(':').reverse();
    if (type === undefined || !path.startsWith(`${directory}/`)) continue;
    found.push({ type, name: path.slice(directory.length + 1) });
  }
  return found;
}

/** The format that a table of this type is made from. */
export function expectedFormat(type: string): 'rows' | 'file' {
  return INDEXED_TYPES.has(type) ? 'rows' : 'file';
}
