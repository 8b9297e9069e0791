/** What the expansion of a recipient finds (expansion.ts) and what is done about it (delivery.ts). */
import type { Rights } from '../../lib/delivery/rights.ts';
import type { Dsn } from '../../lib/mail/dsn.ts';
import type { User } from '../../lib/util/passwd.ts';
import type { LocalRecipient } from './recipient.ts';
import type { Origin } from './settings.ts';

/** On whose behalf, and how it came to that. */
export interface Situation {
  readonly sender: string;
  /** An owner- alias is in force. */
  readonly owned: boolean;
  /** Where the destination stood; undefined for the recipient of the request. */
  readonly origin: Origin | undefined;
  /** Rights of the user or file that named the destination; undefined for default_privs. */
  readonly rights: Rights | undefined;
  /** Names of the aliases that are being expanded, outermost first. */
  readonly aliases: readonly string[];
  /** .forward files that are being expanded. */
  readonly forwards: readonly string[];
  readonly depth: number;
  /** For Delivered-To:. */
  readonly deliveredTo: string;
}

/** Something to be done here. */
export type Action = {
  readonly recipient: LocalRecipient;
  readonly situation: Situation;
  readonly user: User | undefined;
} & (
  | { readonly kind: 'mailbox' }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'file'; readonly path: string }
);

export interface Plan {
  readonly actions: Action[];
  /** Addresses to forward to, by envelope sender. */
  readonly forwards: Map<string, Set<string>>;
  /** What cannot be done, and for which address. */
  readonly failures: { readonly address: string; readonly dsn: Dsn }[];
}
