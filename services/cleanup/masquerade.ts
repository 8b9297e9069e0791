/**
 * Address masquerading (postconf(5), masquerade_domains; ADDRESS_REWRITING_README): the subdomains of a site disappear
 * from addresses.
 *
 * Rejects with TableError where a table of masquerade_exceptions fails.
 */
import type { StringList } from '../../lib/tables/match-list.ts';
import { caseFold } from '../../lib/util/case-fold.ts';

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
