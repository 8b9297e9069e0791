/**
 * Address masquerading (postconf(5), masquerade_domains; ADDRESS_REWRITING_README): the subdomains of a site disappear
 * from addresses.
 *
 * Rejects with TableError where a table of masquerade_exceptions fails.
 */
import type { Configuration } from '../../lib/config/settings.ts';
import { StringList } from '../../lib/tables/match-list.ts';
import type { TableContext } from '../../lib/tables/table.ts';
import { caseFold } from '../../lib/util/case-fold.ts';
import type { AddressClass } from './canonical.ts';

export const MASQUERADE_PARAMETERS = ['masquerade_classes', 'masquerade_domains', 'masquerade_exceptions'] as const;

/** An entry of masquerade_domains. */
interface MasqueradeDomain {
  readonly name: string;
  /** `!domain`: its addresses are left alone. */
  readonly negated: boolean;
}

/** masquerade_domains and masquerade_exceptions, ready for use. */
export interface Masquerade {
  readonly domains: readonly MasqueradeDomain[];
  /** User names whose addresses stay; undefined where there are none. */
  readonly exceptions: StringList | undefined;
}

/** Makes the setting from the items of masquerade_domains. */
export function readMasquerade(domains: readonly string[], exceptions: StringList | undefined): Masquerade {
  const entries = domains.map((item) => {
    const name = item.replace(/^!+/, '');
    return { name: caseFold(name), negated: (item.length - name.length) % 2 === 1 };
  });
  return { domains: entries, exceptions };
}

/** masquerade_domains, _exceptions and _classes of a service. */
export interface MasqueradeContext extends Masquerade, AsyncDisposable {
  readonly classes: ReadonlySet<string>;
}

export async function openMasquerade(configuration: Configuration, tables: TableContext): Promise<MasqueradeContext> {
  const exceptions = await StringList.open(
    'masquerade_exceptions',
    configuration.text('masquerade_exceptions'),
    tables,
  );
  return {
    ...readMasquerade(configuration.list('masquerade_domains'), exceptions.isEmpty ? undefined : exceptions),
    classes: new Set(configuration.list('masquerade_classes')),
    [Symbol.asyncDispose]: () => exceptions[Symbol.asyncDispose](),
  };
}

/** Masquerades where masquerade_classes says so. */
export async function masqueradeClass(
  context: MasqueradeContext,
  addressClass: AddressClass,
  address: string,
): Promise<string> {
  return context.classes.has(addressClass) ? masquerade(context, address) : address;
}

/** The address with the subdomains of the first matching domain taken off; the same address where nothing applies. */
export async function masquerade(setting: Masquerade, address: string): Promise<string> {
  if (setting.domains.length === 0) return address;
  const at = address.lastIndexOf('@');
  if (at < 0) return address;
  const domain = caseFold(address.slice(at + 1));
  const user = caseFold(address.slice(0, at));
  if (setting.exceptions !== undefined && (await setting.exceptions.matches(user))) return address;
  for (const { name, negated } of setting.domains) {
    if (domain === name) return address;
    if (domain.endsWith(`.${name}`)) return negated ? address : address.slice(0, at + 1) + name;
  }
  return address;
}
