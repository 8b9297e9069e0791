/**
 * `ldap:/path.cf`: lookups in a directory (ldap_table(5)), with the attributes that lead on to other entries.
 *
 * Limits: the protocol is always version 3; referrals are not chased; tls_ca_cert_dir, tls_random_file and debuglevel
 * have no effect.
 */
import type { Entry, SearchOptions } from 'ldapts';
import { splitOutsideBraces } from '../util/split.ts';
import { ClientSettings } from './client-settings.ts';
import { FixedTable } from './fixed-table.ts';
import { checkTemplate, expandTemplate, KeyFilter, type Quote } from './key-expansion.ts';
import { LdapConnection } from './ldap-connection.ts';
import type { OpenRequest } from './open.ts';
import { type LookupResult, type Table, TableError, TableOpenError, TRUSTED_OWNER } from './table.ts';

type Scope = 'sub' | 'base' | 'one';

/** Names of attributes, in lower case. */
interface Attributes {
  readonly ordinary: readonly string[];
  /** Hold DNs or LDAP URLs of further entries. */
  readonly special: readonly string[];
  readonly terminal: readonly string[];
  readonly leaf: readonly string[];
}

interface LdapSettings {
  readonly searchBase: string;
  readonly filter: string;
  readonly scope: Scope;
  readonly resultFormat: string;
  readonly attributes: Attributes;
  readonly dereference: NonNullable<SearchOptions['derefAliases']>;
  readonly recursionLimit: number;
  readonly expansionLimit: number;
  readonly sizeLimit: number;
}

const DEREFERENCE = ['never', 'search', 'find', 'always'] as const;
/** RFC 4515 section 3. */
const quoteFilter: Quote = (value) =>
  value.replace(/[\\*()\0]/g, (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
/** RFC 4514 section 2.4. */
const quoteName: Quote = (value) => value.replace(/[ "#+,;<=>\\]/g, '\\$&');

export async function openTableType(request: OpenRequest): Promise<Table> {
  const settings = ClientSettings.read(request);
  const filter = await KeyFilter.open(request, settings.text('domain'));
  return new LdapTable(request, readSettings(settings, request), new LdapConnection(settings), filter);
}

function readSettings(settings: ClientSettings, request: OpenRequest): LdapSettings {
  const list = (name: string, byDefault = ''): string[] =>
    splitOutsideBraces(settings.text(name, byDefault)).map((attribute) => attribute.toLowerCase());
  const searchBase = settings.text('search_base');
  const filter = settings.text('query_filter', 'mailacceptinggeneralid=%s');
  const resultFormat = settings.text('result_format', settings.text('result_filter', '%s'));
  for (const [name, text] of Object.entries({
    search_base: searchBase,
    query_filter: filter,
    result_format: resultFormat,
  })) {
    checkTemplate(text, `${settings.source}: ${name}`);
  }
  for (const name of ['cache', 'cache_expiry', 'cache_size']) {
    if (settings.isSet(name)) request.context.warn(`ldap:${settings.source}: ignoring ${name}`);
  }
  const scope = settings.text('scope', 'sub');
  if (scope !== 'sub' && scope !== 'base' && scope !== 'one') {
    throw new TableOpenError(`${settings.source}: bad value for scope: "${scope}": expected sub, base or one`);
  }
  const expansionLimit = settings.integer('expansion_limit', 0);
  const dereference = DEREFERENCE[settings.integer('dereference', 0)];
  if (dereference === undefined)
    throw new TableOpenError(`${settings.source}: dereference: expected a number from 0 to 3`);
  return {
    searchBase,
    filter: filter.startsWith('(') ? filter : `(${filter})`,
    scope,
    resultFormat,
    attributes: {
      ordinary: list('result_attribute', 'maildrop'),
      special: list('special_result_attribute'),
      terminal: list('terminal_result_attribute'),
      leaf: list('leaf_result_attribute'),
    },
    dereference,
    recursionLimit: settings.integer('recursion_limit', 1000, 1),
    expansionLimit,
    sizeLimit: settings.integer('size_limit', expansionLimit),
  };
}

/** What one lookup has found so far. */
interface Found {
  readonly key: string;
  readonly values: string[];
  /** DNs that were read, so that groups which contain each other end. */
  readonly seen: Set<string>;
}

class LdapTable extends FixedTable {
  readonly #settings: LdapSettings;
  readonly #connection: LdapConnection;
  readonly #filter: KeyFilter;

  constructor(request: OpenRequest, settings: LdapSettings, connection: LdapConnection, filter: KeyFilter) {
    super(request.type, request.name, TRUSTED_OWNER, request.context, request.flags);
    this.#settings = settings;
    this.#connection = connection;
    this.#filter = filter;
  }

  protected async find(key: string): Promise<LookupResult> {
    const { searchBase, filter, scope, resultFormat } = this.#settings;
    if (key.includes('\0') || !(await this.#filter.accepts(key))) return undefined;
    const base = expandTemplate(searchBase, key, quoteName);
    const query = expandTemplate(filter, key, quoteFilter);
    if (base === undefined || query === undefined) return undefined;
    if (expandTemplate(resultFormat, key, quoteFilter, 'u@d') === undefined) return undefined;
    const found: Found = { key, values: [], seen: new Set() };
    try {
      await this.#searchInto(found, base, { scope, filter: query }, 0, this.#allAttributes());
    } catch (error) {
      if (error instanceof TableError)
        this.context.warn(`ldap:${this.name}: lookup of '${key}' failed: ${error.message}`);
      throw error;
    }
    return found.values.length === 0 ? undefined : found.values.join(',');
  }

  #allAttributes(): string[] {
    const { ordinary, special, terminal, leaf } = this.#settings.attributes;
    return [...ordinary, ...special, ...terminal, ...leaf];
  }

  async #searchInto(
    found: Found,
    base: string,
    query: { scope: Scope; filter: string },
    depth: number,
    attributes: readonly string[],
  ): Promise<void> {
    const { recursionLimit, sizeLimit, dereference } = this.#settings;
    if (depth > recursionLimit) throw new TableError('recursion limit exceeded');
    const entries = await this.#connection.search(base, {
      ...query,
      attributes: [...attributes],
      // One more than allowed tells whether there are more.
      sizeLimit: sizeLimit > 0 ? sizeLimit + 1 : 0,
      derefAliases: dereference,
    });
    if (sizeLimit > 0 && entries.length > sizeLimit) throw new TableError('size limit exceeded');
    for (const entry of entries) await this.#readEntry(found, entry, depth, attributes);
  }

  async #readEntry(found: Found, entry: Entry, depth: number, wanted: readonly string[]): Promise<void> {
    if (found.seen.has(entry.dn)) return;
    found.seen.add(entry.dn);
    const values = valuesByName(entry, wanted);
    const take = (names: readonly string[]): string[] => names.flatMap((name) => values.get(name) ?? []);
    const { ordinary, special, terminal, leaf } = this.#settings.attributes;
    const last = take(terminal);
    if (last.length > 0) {
      this.#add(found, last);
      return;
    }
    const references = take(special);
    this.#add(found, take(ordinary));
    if (references.length === 0) this.#add(found, take(leaf));
    for (const reference of references) await this.#follow(found, reference, depth + 1);
  }

  #add(found: Found, values: readonly string[]): void {
    const { resultFormat, expansionLimit } = this.#settings;
    for (const value of values) {
      const text = value === '' ? undefined : expandTemplate(resultFormat, found.key, (part) => part, value);
      if (text === undefined) continue;
      found.values.push(text);
      if (expansionLimit > 0 && found.values.length > expansionLimit) throw new TableError('expansion limit exceeded');
    }
  }

  async #follow(found: Found, reference: string, depth: number): Promise<void> {
    const all = this.#allAttributes();
    if (!/^ldaps?:\/\//i.test(reference)) {
      await this.#searchInto(found, reference, { scope: 'base', filter: '(objectClass=*)' }, depth, all);
      return;
    }
    // RFC 4516: ldap://host/base?attributes?scope?filter; the table's own server is asked.
    const [base = '', attributes = '', scope = '', filter = ''] = reference
      .replace(/^ldaps?:\/\/[^/]*\/?/i, '')
      .split('?')
      .map(decodeURIComponent);
    const asked = attributes
      .toLowerCase()
      .split(',')
      .filter((name) => name !== '');
    const wanted = asked.length === 0 ? all : all.filter((name) => asked.includes(name));
    if (wanted.length === 0) return;
    const query = {
      scope: (scope === 'sub' || scope === 'one' ? scope : 'base') as Scope,
      filter: filter || '(objectClass=*)',
    };
    await this.#searchInto(found, base, query, depth, wanted);
  }

  override async close(): Promise<void> {
    await this.#filter.close();
    await this.#connection.close();
  }
}

function valuesByName(entry: Entry, wanted: readonly string[]): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [name, value] of Object.entries(entry)) {
    const key = name.toLowerCase();
    if (name === 'dn' || !wanted.includes(key)) continue;
    const list = Array.isArray(value) ? value : [value];
    values.set(
      key,
      list.map((item) => (typeof item === 'string' ? item : item.toString('utf8'))),
    );
  }
  return values;
}
