/**
 * Parameters of lookup tables that are configured inside main.cf: for a table `ldap:name`, main.cf may hold
 * `name_server_host` and so on. Which suffixes each table type knows, and which tables a value refers to. Pure.
 * @see ldap_table(5), mysql_table(5), pgsql_table(5), sqlite_table(5), memcache_table(5), mongodb_table(5)
 */
import { splitOutsideBraces, unbrace } from '../util/split.ts';

const legacySql = ['table', 'select_field', 'where_field', 'additional_conditions'];
const queryResult = ['query', 'result_format', 'domain', 'expansion_limit'];
const sqlClient = ['hosts', 'user', 'password', 'dbname', 'idle_interval', 'retry_interval'];

const suffixes: ReadonlyMap<string, readonly string[]> = new Map([
  [
    'ldap',
    [
      'server_host server_port search_base timeout query_filter result_filter result_format domain scope bind bind_dn',
      'bind_pw special_result_attribute terminal_result_attribute leaf_result_attribute result_attribute',
      'sasl_mechs sasl_realm sasl_authz_id sasl_minssf recursion_limit expansion_limit size_limit dereference',
      'chase_referrals version debuglevel cache cache_expiry cache_size start_tls tls_ca_cert_file tls_ca_cert_dir',
      'tls_cert tls_key tls_require_cert tls_random_file tls_cipher_suite',
    ].flatMap((line) => line.split(' ')),
  ],
  [
    'mysql',
    [
      ...sqlClient,
      ...queryResult,
      ...legacySql,
      ...'option_file option_group charset require_result_set'.split(' '),
      ...'tls_cert_file tls_key_file tls_CAfile tls_CApath tls_ciphers tls_verify_cert'.split(' '),
    ],
  ],
  ['pgsql', [...sqlClient, ...queryResult, ...legacySql, 'encoding', 'select_function']],
  ['sqlite', ['dbpath', ...queryResult, ...legacySql]],
  [
    'memcache',
    'memcache backup flags ttl key_format domain line_size_limit data_size_limit max_try retry_pause timeout'.split(
      ' ',
    ),
  ],
  [
    'mongodb',
    'uri dbname collection query_filter projection result_attribute result_format domain expansion_limit'.split(' '),
  ],
]);

/** Table types whose name is a list of tables, or a list in braces. */
const composite = new Set(['pipemap', 'unionmap', 'randmap']);
const maximumNesting = 20;

/**
 * Names that a value's tables may have in main.cf: `ldap:users` gives `users_server_host` and so on.
 * `warn` is told about braces that do not match.
 */
export function databaseParameterNames(value: string, warn: (text: string) => void, nesting = 0): string[] {
  if (nesting > maximumNesting || !value.includes(':')) return [];
  const inner = (item: string): string[] => {
    const { text, error } = unbrace(item);
    if (error !== undefined) warn(error);
    return databaseParameterNames(text, warn, nesting + 1);
  };
  return splitOutsideBraces(value).flatMap((item) => {
    if (item.startsWith('{')) return inner(item);
    const table = item.startsWith('proxy:') ? item.slice('proxy:'.length) : item;
    const colon = table.indexOf(':');
    const type = table.slice(0, Math.max(colon, 0));
    const name = table.slice(colon + 1);
    if (composite.has(type) && name.startsWith('{')) return inner(name);
    // A name with a slash is a file that holds these settings itself.
    if (name.includes('/')) return [];
    return (suffixes.get(type) ?? []).map((suffix) => `${name}_${suffix}`);
  });
}
