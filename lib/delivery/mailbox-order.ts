/**
 * What is asked of whoever writes a mailbox, and what came of it: plain values, for the writer may be another process
 * with the rights of the mailbox' owner (mailbox-writers.ts).
 */

/** How a mailbox file is locked; see postconf(5), mailbox_delivery_lock and virtual_mailbox_lock. */
export interface LockSettings {
  /** Seconds after which a lock file is taken to be left behind (stale_lock_time). */
  readonly staleTime: number;
  readonly attempts: number;
  /** Seconds between attempts. */
  readonly delay: number;
  /** Write even where a lock file cannot be made for want of permission: destinations named in aliases. */
  readonly mayFail: boolean;
}

interface Order {
  /** Lines in front of the message. */
  readonly head: Buffer;
  /** Largest size of the file in bytes; 0 for none. */
  readonly sizeLimit: number;
}

export interface MaildirOrder extends Order {
  readonly format: 'maildir';
  /** Without trailing slash. */
  readonly path: string;
  /** Name of the message in new/, the same in every attempt. */
  readonly name: string;
  /** Milliseconds since 1970 before which no attempt was made: arrival of the message. */
  readonly since: number;
}

export interface MboxOrder extends Order {
  readonly format: 'mbox';
  readonly path: string;
  readonly lock: LockSettings;
  /** Missing directories on the way are made (virtual(8)). */
  readonly makeDirectories: boolean;
  /** uid and gid that a file made by the superuser is given. */
  readonly giveTo?: { readonly uid: number; readonly gid: number };
  /** strict_mailbox_ownership: uid that the file must belong to. */
  readonly owner?: number;
  /** Devices and pipes (`/dev/null`) are written to, unlocked and unsynced. */
  readonly allowSpecial: boolean;
}

export type MailboxOrder = MaildirOrder | MboxOrder;

/** `delivered`: on disk. A failure has the status code and the words for the recipient's log line. */
export type MailboxOutcome =
  | { readonly delivered: true }
  | { readonly delivered: false; readonly status: string; readonly reason: string };
