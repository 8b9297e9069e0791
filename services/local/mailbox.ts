/**
 * Delivery to the mailbox of a user, by the first of: mailbox_transport_maps, mailbox_transport, mailbox_command_maps,
 * mailbox_command, home_mailbox, mail_spool_directory; for a name that is no user's fallback_transport_maps,
 * fallback_transport, luser_relay, and else a bounce with "unknown user". See local(8), DELIVERY METHOD CONTROLS.
 *
 * Users are those of the host. Where all mailboxes have one owner (postfleet_mailbox_owner, or a service that is not run
 * by root), names that local_recipient_maps lists and that are no aliases have mailboxes in mail_spool_directory too.
 */
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { failureOf } from '../../lib/delivery/failure-of.ts';
import type { MailboxOrder, MailboxOutcome } from '../../lib/delivery/mailbox-order.ts';
import type { Rights } from '../../lib/delivery/rights.ts';
import { type Dsn, success } from '../../lib/mail/dsn.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import type { User } from '../../lib/util/passwd.ts';
import { lookupAlias } from './alias.ts';
import type { LocalRecipient } from './recipient.ts';
import type { LocalSettings } from './settings.ts';

/** What is to be done for a mailbox. */
export type MailboxMethod =
  /** Another agent delivers: "transport:nexthop". */
  | { readonly kind: 'transport'; readonly destination: string }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'file'; readonly path: string; readonly spool: boolean }
  | { readonly kind: 'relay'; readonly value: string }
  | { readonly kind: 'failure'; readonly dsn: Dsn };

/** Chooses the method. Rejects with TableError where a table cannot answer. */
export async function chooseMethod(
  settings: LocalSettings,
  recipient: LocalRecipient,
  user: User | undefined,
): Promise<MailboxMethod> {
  const transport = (await byName(settings.mailboxTransportMaps, recipient)) ?? settings.mailboxTransport;
  if (transport !== '') return { kind: 'transport', destination: transport };
  if (user === undefined && !(await isListed(settings, recipient))) return forUnknown(settings, recipient);

  if (settings.requireHome && user !== undefined && !(await isThere(user.home))) {
    return { kind: 'failure', dsn: failureOf('4.3.0', `cannot access home directory ${user.home}`) };
  }
  const command = (await byName(settings.mailboxCommandMaps, recipient)) ?? settings.mailboxCommand;
  if (command !== '') return { kind: 'command', command };
  if (settings.homeMailbox !== '' && user !== undefined) {
    return { kind: 'file', path: `${user.home}/${settings.homeMailbox}`, spool: false };
  }
  const { spoolDirectory } = settings;
  const slash = spoolDirectory.endsWith('/') ? '/' : '';
  return { kind: 'file', path: `${spoolDirectory.replace(/\/+$/, '')}/${recipient.user}${slash}`, spool: true };
}

async function forUnknown(settings: LocalSettings, recipient: LocalRecipient): Promise<MailboxMethod> {
  const transport = (await byName(settings.fallbackTransportMaps, recipient)) ?? settings.fallbackTransport;
  if (transport !== '') return { kind: 'transport', destination: transport };
  if (settings.luserRelay !== '') return { kind: 'relay', value: settings.luserRelay };
  return { kind: 'failure', dsn: unknownUser(recipient) };
}

export function unknownUser(recipient: LocalRecipient): Dsn {
  return failureOf('5.1.1', `unknown user: "${recipient.user}"`);
}

/** A table by recipient: the name with its extension, then without. */
async function byName(maps: Maps, recipient: LocalRecipient): Promise<string | undefined> {
  if (maps.isEmpty) return undefined;
  return (await maps.lookup(recipient.name)) ?? (await maps.lookup(recipient.user, { partial: true }));
}

async function isListed(settings: LocalSettings, recipient: LocalRecipient): Promise<boolean> {
  if (settings.owner === 'recipient' || !isFileName(recipient.user)) return false;
  const maps = settings.localRecipientMaps;
  const listed =
    (await maps.lookup(`${recipient.user}@${recipient.domain}`)) ??
    (await maps.lookup(recipient.user, { partial: true }));
  return listed !== undefined && (await lookupAlias(settings, recipient.user, false)) === undefined;
}

/** May the name be that of a file in the spool directory? */
function isFileName(name: string): boolean {
  return name !== '' && name.length <= 255 && !name.startsWith('.') && !/[/\0]/.test(name) && !name.endsWith('.lock');
}

async function isThere(directory: string): Promise<boolean> {
  return access(directory, constants.F_OK).then(
    () => true,
    () => false,
  );
}

/** As whom a user's mailbox is written; undefined: as ourselves. */
export function mailboxRights(settings: LocalSettings, user: User | undefined): Rights | undefined {
  if (settings.owner === 'self') return undefined;
  if (settings.owner !== 'recipient') return settings.owner;
  return user === undefined ? settings.defaultRights : { uid: user.uid, gid: user.gid };
}

/** The log line of an outcome of a user's mailbox. */
export function mailboxDsn(order: MailboxOrder, outcome: MailboxOutcome, user: string): Dsn {
  if (outcome.delivered) {
    return success('delivered', order.format === 'maildir' ? 'delivered to maildir' : 'delivered to mailbox');
  }
  const { status, reason } = outcome;
  if (order.format === 'maildir') return failureOf(status, `maildir delivery failed: ${reason}`);
  return failureOf(status, `cannot update mailbox ${order.path} for user ${user}. ${reason}`);
}

/** The same for a file that an alias or .forward file names. */
export function fileDsn(order: MailboxOrder, outcome: MailboxOutcome): Dsn {
  if (outcome.delivered) {
    return success(
      'delivered',
      order.format === 'maildir' ? 'delivered to maildir' : `delivered to file: ${order.path}`,
    );
  }
  const { status, reason } = outcome;
  if (order.format === 'maildir') return failureOf(status, `maildir delivery failed: ${reason}`);
  return failureOf(status, `cannot append message to file ${order.path}: ${reason}`);
}
