/**
 * System-wide aliases: alias_maps by the whole folded localpart, then without its extension. See aliases(5).
 * Rejects with TableError where a table cannot answer.
 */
import type { Rights } from '../../lib/delivery/rights.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
import type { LocalRecipient } from './recipient.ts';
import type { LocalSettings } from './settings.ts';

export interface Alias {
  /** The name that was found. */
  readonly name: string;
  readonly value: string;
  /** As whom commands and files in it are handled; undefined for default_privs. */
  readonly rights: Rights | undefined;
  /** The extension that was not a part of the name. */
  readonly unmatchedExtension: string | undefined;
}

export async function findAlias(settings: LocalSettings, recipient: LocalRecipient): Promise<Alias | undefined> {
  const whole = await lookupAlias(settings, recipient.name, false);
  if (whole !== undefined) return { ...whole, unmatchedExtension: undefined };
  if (recipient.extension === undefined) return undefined;
  const base = await lookupAlias(settings, recipient.user, true);
  return base === undefined ? undefined : { ...base, unmatchedExtension: recipient.delimiter + recipient.extension };
}

/** One name, as it stands. `partial`: tables of patterns are not asked. */
export async function lookupAlias(
  settings: LocalSettings,
  name: string,
  partial: boolean,
): Promise<Omit<Alias, 'unmatchedExtension'> | undefined> {
  const key = quote822Local(name, { bareLocalpart: true });
  for (const { maps, rights } of settings.aliasTables) {
    const value = await maps.lookup(key, { partial });
    if (value !== undefined) return { name, value, rights };
  }
  return undefined;
}
