/**
 * A recipient as local(8) sees it: the localpart folded to lower case and split in user and extension. See local(8), CASE
 * FOLDING and ADDRESS EXTENSION. Pure.
 */
import { splitAddress } from '../../lib/mail/strip-address.ts';
import { caseFold } from '../../lib/util/case-fold.ts';
import type { LocalSettings } from './settings.ts';

export interface LocalRecipient {
  /** The whole address, as it came. */
  readonly address: string;
  /** The localpart as it came. */
  readonly local: string;
  /** The folded localpart without extension. */
  readonly user: string;
  /** The folded localpart. */
  readonly name: string;
  /** Without its delimiter; undefined where there is none. */
  readonly extension: string | undefined;
  /** The delimiter that was found, empty where there is none. */
  readonly delimiter: string;
  readonly domain: string;
}

export function localRecipient(address: string, settings: LocalSettings): LocalRecipient {
  const at = address.lastIndexOf('@');
  const local = at < 0 ? address : address.slice(0, at);
  const name = caseFold(local);
  const split = splitAddress(name, settings.recipientDelimiter, {
    ownerRequestSpecial: settings.ownerRequestSpecial,
  });
  return {
    address,
    local,
    user: split.base,
    name,
    extension: split.extension,
    delimiter: split.delimiter,
    domain: at < 0 ? '' : address.slice(at + 1),
  };
}
