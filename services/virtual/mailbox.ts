/**
 * Where the mailbox of a recipient is, and whose it is: virtual_mailbox_maps, virtual_uid_maps and virtual_gid_maps,
 * searched by `user+extension@domain`, `user@domain`, `@domain`. See virtual(8), TABLE SEARCH ORDER.
 */
import type { Rights } from '../../lib/delivery/rights.ts';
import { type Dsn, failure } from '../../lib/mail/dsn.ts';
import { type AddressStrategy, findAddress } from '../../lib/tables/address-lookup.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { TableError } from '../../lib/tables/table.ts';
import type { Log } from '../../lib/util/log.ts';
import type { VirtualSettings } from './settings.ts';

const STRATEGY: AddressStrategy = { full: true, withoutExtension: true, atDomain: true };

export type MailboxSearch =
  /** `rights` undefined: as ourselves. */
  | { readonly found: 'mailbox'; readonly path: string; readonly rights: Rights | undefined }
  | { readonly found: 'nothing' }
  | { readonly found: 'error'; readonly dsn: Dsn };

const CONFIGURATION_ERROR: MailboxSearch = {
  found: 'error',
  dsn: failure('delayed', '4.3.5', 'mail system configuration error'),
};

/** Finds the mailbox; `address` is folded to lower case. Logs a warning for an entry that cannot be used. */
export async function findMailbox(settings: VirtualSettings, address: string, log: Log): Promise<MailboxSearch> {
  try {
    const place = await lookup(settings, settings.mailboxMaps, address);
    if (place === undefined) return { found: 'nothing' };
    if (place.includes('\0')) return CONFIGURATION_ERROR;
    const path = `${settings.base}/${place}`;
    if (settings.owner === 'self') return { found: 'mailbox', path, rights: undefined };
    if (settings.owner !== 'recipient') return { found: 'mailbox', path, rights: settings.owner };

    const uid = await findId(settings, settings.uidMaps, address, settings.minimumUid, log);
    const gid = await findId(settings, settings.gidMaps, address, 1, log);
    if (uid === undefined || gid === undefined) return CONFIGURATION_ERROR;
    return { found: 'mailbox', path, rights: { uid, gid } };
  } catch (error) {
    if (error instanceof TableError) return CONFIGURATION_ERROR;
    throw error;
  }
}

async function lookup(settings: VirtualSettings, maps: Maps, address: string): Promise<string | undefined> {
  const match = await findAddress(maps, address, {
    recipientDelimiter: settings.recipientDelimiter,
    isLocalDomain: () => false,
    strategy: STRATEGY,
    // The result is a path or a number, not an address: it is taken as it is written.
    outputForm: 'external',
  });
  return match?.value;
}

async function findId(
  settings: VirtualSettings,
  maps: Maps,
  address: string,
  minimum: number,
  log: Log,
): Promise<number | undefined> {
  const text = await lookup(settings, maps, address);
  if (text === undefined) {
    log.warning(`recipient ${address}: not found in ${maps.parameter}`);
    return undefined;
  }
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (id >= minimum) return id;
  log.warning(`recipient ${address}: bad value "${text}" in ${maps.parameter}, expected a number from ${minimum}`);
  return undefined;
}
