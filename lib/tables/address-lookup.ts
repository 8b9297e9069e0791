/**
 * Looks up a mail address in tables the way virtual(5), canonical(5) and access(5) say: the whole address, without its
 * extension, the bare localpart where the domain is local, `@domain`, `domain`, parent domains. Tables of patterns see the
 * whole address only.
 *
 * Addresses come in internal form (`aa bb@example`) or in external form (`"aa bb"@example`), and tables hold one or the
 * other: from Postfix 3.2 on the external form, and with `external-first` the internal one where that finds nothing.
 */
import { quote822Local, unquote822Local } from '../mail/quote822.ts';
import { type SplitOptions, stripAddress } from '../mail/strip-address.ts';
import { parseAddressList } from '../mail/tok822.ts';
import type { Maps } from './maps.ts';
import type { MaybePromise } from './table.ts';

export type AddressForm = 'internal' | 'external';
/** The form of the keys in a table. `external-first`: external, then internal where that is another text. */
export type QueryForm = AddressForm | 'external-first';

/** The keys that are tried, in this order. */
export interface AddressStrategy {
  readonly full?: boolean;
  /** The whole address without its extension. */
  readonly withoutExtension?: boolean;
  /** The localpart alone, with and without extension, where the domain is a local one. */
  readonly localpartIfLocal?: boolean;
  /** The same as `localpart@`. */
  readonly localpartAtIfLocal?: boolean;
  /** `@domain` */
  readonly atDomain?: boolean;
  /** `domain` */
  readonly domain?: boolean;
  /** `parent` of the domain, level by level. */
  readonly parentDomains?: boolean;
  /** `.parent` of the domain, level by level. */
  readonly dotParentDomains?: boolean;
  /** `localpart@`, whatever the domain (access(5)). */
  readonly localpartAt?: boolean;
}

/** virtual(5), canonical(5), relocated(5). */
export const DEFAULT_STRATEGY: AddressStrategy = {
  full: true,
  withoutExtension: true,
  localpartIfLocal: true,
  atDomain: true,
};

export interface AddressLookupOptions {
  readonly recipientDelimiter: string;
  readonly split?: SplitOptions;
  /** mydestination, inet_interfaces and proxy_interfaces. */
  isLocalDomain(domain: string): MaybePromise<boolean>;
  readonly inputForm?: AddressForm;
  readonly queryForm?: QueryForm;
  readonly outputForm?: AddressForm;
  readonly strategy?: AddressStrategy;
}

export interface AddressMatch {
  readonly value: string;
  /** The extension that was taken off to find it, with its delimiter. */
  readonly extension?: string;
}

/**
 * The value for an address, in `outputForm`, and the extension that the caller may put back. Undefined where nothing
 * matches. Throws, or rejects with, TableError. Defaults: everything internal but the query, which is external-first.
 */
export function findAddress(
  maps: Maps,
  address: string,
  options: AddressLookupOptions,
): MaybePromise<AddressMatch | undefined> {
  const internal = options.inputForm === 'external' ? unquote822Local(address) : address;
  const query = options.queryForm ?? 'external-first';
  if (query !== 'external-first') return findInForm(maps, internal, query, options);
  const found = findInForm(maps, internal, 'external', options);
  // Only a localpart that needs quotes reads differently in the two forms.
  if (quote822Local(internal) === internal) return found;
  const tryInternal = (match: AddressMatch | undefined) => match ?? findInForm(maps, internal, 'internal', options);
  return found instanceof Promise ? found.then(tryInternal) : tryInternal(found);
}

function findInForm(
  maps: Maps,
  internal: string,
  form: AddressForm,
  options: AddressLookupOptions,
): MaybePromise<AddressMatch | undefined> {
  // Results are in external form, whatever the form of the keys.
  const asWritten = (value: string): string => (options.outputForm === 'external' ? value : unquote822Local(value));
  const keys = candidateKeys(internal, form, options);
  const step = (previous?: boolean): MaybePromise<AddressMatch | undefined> => {
    let local = previous;
    for (let next = keys.next(local); !next.done; next = keys.next(local)) {
      local = undefined;
      const candidate = next.value;
      if ('localDomain' in candidate) {
        const answer = options.isLocalDomain(candidate.localDomain);
        if (answer instanceof Promise) return answer.then(step);
        local = answer;
        continue;
      }
      const found = maps.lookup(candidate.key, { partial: candidate.partial });
      const finish = (value: string | undefined): AddressMatch | undefined => {
        if (value === undefined) return undefined;
        return candidate.extension === undefined
          ? { value: asWritten(value) }
          : { value: asWritten(value), extension: candidate.extension };
      };
      if (found instanceof Promise) return found.then((value) => finish(value) ?? step());
      if (found !== undefined) return finish(found);
    }
    return undefined;
  };
  return step();
}

/** A key to try, or the question whether a domain is local, answered through `next`. */
type Candidate =
  | { readonly key: string; readonly partial: boolean; readonly extension?: string | undefined }
  | { readonly localDomain: string };

function* candidateKeys(
  internal: string,
  form: AddressForm,
  options: AddressLookupOptions,
): Generator<Candidate, void, boolean | undefined> {
  const strategy = options.strategy ?? DEFAULT_STRATEGY;
  const write = (text: string, bareLocalpart = false): string =>
    form === 'external' ? quote822Local(text, { bareLocalpart }) : text;
  const stripped = strategy.withoutExtension
    ? stripAddress(internal, options.recipientDelimiter, options.split)
    : undefined;

  if (strategy.full) yield { key: write(internal), partial: false };
  if (stripped !== undefined) yield { key: write(stripped.stripped), partial: true, extension: stripped.extension };

  const at = internal.lastIndexOf('@');
  const localpart = at < 0 ? internal : internal.slice(0, at);
  const domain = at < 0 ? '' : internal.slice(at + 1);
  const bare = stripped?.stripped.slice(0, at < 0 ? undefined : stripped.stripped.lastIndexOf('@'));
  const wantsLocal = strategy.localpartIfLocal || strategy.localpartAtIfLocal;
  if (wantsLocal && at >= 0 && (yield { localDomain: domain })) {
    const suffix = strategy.localpartAtIfLocal ? '@' : '';
    yield { key: write(localpart, true) + suffix, partial: true };
    if (bare !== undefined) yield { key: write(bare, true) + suffix, partial: true, extension: stripped!.extension };
  }
  if (at >= 0) yield* domainKeys(domain, strategy);
  if (strategy.localpartAt && at >= 0) {
    yield { key: `${write(localpart, true)}@`, partial: true };
    if (bare !== undefined) yield { key: `${write(bare, true)}@`, partial: true, extension: stripped!.extension };
  }
}

function* domainKeys(domain: string, strategy: AddressStrategy): Generator<Candidate, void, boolean | undefined> {
  if (strategy.atDomain) yield { key: `@${domain}`, partial: true };
  if (strategy.domain) yield { key: domain, partial: true };
  if (!strategy.parentDomains && !strategy.dotParentDomains) return;
  for (let dot = domain.indexOf('.'); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
    if (dot + 1 < domain.length) yield { key: domain.slice(strategy.parentDomains ? dot + 1 : dot), partial: true };
  }
}

export interface AddressMappingOptions extends AddressLookupOptions {
  /** Puts the extension that was taken off into each result (propagate_unmatched_extensions). */
  readonly propagateExtension: boolean;
  /** Completes a result that has no domain, as trivial-rewrite does; left as it is where absent. */
  canonicalize?(internal: string): MaybePromise<string>;
}

/**
 * Maps an address to the addresses of a table's result (canonical_maps, virtual_alias_maps): the result is a list, a result
 * `@domain` stands for the same localpart in that domain, and the extension is put back. Undefined where nothing matches.
 */
export async function mapAddress(
  maps: Maps,
  address: string,
  options: AddressMappingOptions,
): Promise<string[] | undefined> {
  const inputForm = options.inputForm ?? 'internal';
  const outputForm = options.outputForm ?? 'internal';
  // Results are read as a list of addresses, which is written in external form.
  const match = await findAddress(maps, address, { ...options, inputForm, outputForm: 'external' });
  if (match === undefined) return undefined;
  let list = match.value;
  if (list.startsWith('@')) {
    const internal = inputForm === 'external' ? unquote822Local(address) : address;
    const at = internal.lastIndexOf('@');
    list = quote822Local(at < 0 ? internal : internal.slice(0, at), { bareLocalpart: true }) + list;
  }
  return await crunchAddresses(list, {
    inputForm: 'external',
    outputForm,
    extension: options.propagateExtension && !match.value.startsWith('@') ? (match.extension ?? '') : '',
    ...(options.canonicalize === undefined ? {} : { canonicalize: options.canonicalize }),
  });
}

export interface CrunchOptions {
  readonly inputForm: AddressForm;
  readonly outputForm: AddressForm;
  /** Put in front of each `@`, with its delimiter; empty for none. */
  readonly extension: string;
  canonicalize?(internal: string): MaybePromise<string>;
}

/** The addresses in a text, completed and in the form that is asked for. A text in internal form is one address. */
export async function crunchAddresses(text: string, options: CrunchOptions): Promise<string[]> {
  const found = options.inputForm === 'internal' ? [text] : parseAddressList(text);
  const addresses: string[] = [];
  for (const internal of found) {
    const complete = (await options.canonicalize?.(internal)) ?? internal;
    const extended = appendExtension(complete, options.extension);
    addresses.push(options.outputForm === 'external' ? quote822Local(extended) : extended);
  }
  return addresses;
}

/** `user@domain` with the extension in front of its last `@`. */
export function appendExtension(internal: string, extension: string): string {
  if (extension === '') return internal;
  const at = internal.lastIndexOf('@');
  return at < 0 ? internal + extension : internal.slice(0, at) + extension + internal.slice(at);
}
