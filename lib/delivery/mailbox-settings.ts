/**
 * Settings that local(8) and virtual(8) share: who owns mailboxes, how they are locked.
 *
 * `postfleet_mailbox_owner` names one owner for all mailboxes: `self` for whoever runs the service, a user name, or
 * `uid:gid`. Empty, and run by root, mailboxes belong to whom Postfix says; run by anybody else everything is written as
 * that user, for nothing else is possible.
 *
 * Throws FatalError for a user that does not exist or that the service cannot become.
 */
import type { Configuration } from '../config/settings.ts';
import { FatalError } from '../util/errors.ts';
import type { UserDatabase } from '../util/passwd.ts';
import type { LockSettings } from './mailbox-order.ts';
import { canChangeRights, type Rights, rightsOf } from './rights.ts';

/** `recipient`: each mailbox has its own owner. */
export type MailboxOwner = 'recipient' | 'self' | Rights;

export const MAILBOX_PARAMETERS = [
  'deliver_lock_attempts',
  'deliver_lock_delay',
  'enable_original_recipient',
  'myhostname',
  'postfleet_mailbox_owner',
  'recipient_delimiter',
  'stale_lock_time',
  'strict_mailbox_ownership',
];

export function mailboxOwner(configuration: Configuration, users: UserDatabase): MailboxOwner {
  const text = configuration.text('postfleet_mailbox_owner');
  if (text === 'self') return 'self';
  if (text === '') return canChangeRights() ? 'recipient' : 'self';
  const rights = rightsOf(text, users);
  if (rights === undefined) {
    throw new FatalError(`postfleet_mailbox_owner = ${text}: no such user; expected "self", a user name or uid:gid`);
  }
  if (!canChangeRights() && rights.uid !== process.geteuid?.()) {
    throw new FatalError(`postfleet_mailbox_owner = ${text}: only a service run by root can write as another user`);
  }
  return rights;
}

/** `locks` is the value of mailbox_delivery_lock or virtual_mailbox_lock. Unknown ones are refused. */
export function lockSettings(configuration: Configuration, parameter: string): LockSettings {
  for (const lock of configuration.list(parameter)) {
    if (!['fcntl', 'flock', 'dotlock'].includes(lock)) {
      throw new FatalError(`${parameter}: unknown lock type "${lock}"; expected fcntl, flock or dotlock`);
    }
  }
  return {
    staleTime: configuration.seconds('stale_lock_time'),
    attempts: configuration.integer('deliver_lock_attempts'),
    delay: configuration.seconds('deliver_lock_delay'),
    mayFail: false,
  };
}
