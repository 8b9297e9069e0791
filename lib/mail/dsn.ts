/**
 * The outcome of a delivery attempt for one recipient, as a value: what delivery agents report, what the queue stores
 * and what notices (RFC 3464) are made of.
 *
 * Pure.
 */
import { splitEnhancedStatus, withStatusClass } from './enhanced-status.ts';

/** What became of the recipient (RFC 3464 section 2.3.3). */
export type DsnAction = 'failed' | 'delayed' | 'delivered' | 'relayed' | 'expanded';

/** One delivery outcome. */
export interface Dsn {
  /** Enhanced status code, for example `5.1.1`. */
  readonly status: string;
  readonly action: DsnAction;
  /** Text for people: what is logged in parentheses and stands in the notice. */
  readonly reason: string;
  /** Where the diagnostic comes from: an SMTP reply, ourselves, or the exit of a command. */
  readonly diagnosticType?: 'smtp' | 'x-postfix' | 'x-unix';
  /** The diagnostic as received; the reason stands in where it is absent. */
  readonly diagnosticText?: string;
  /** The server that gave the diagnostic. */
  readonly remoteMta?: { readonly type: 'dns'; readonly name: string };
}

/** A permanent or temporary failure found by ourselves; a leading status code in the text takes the place of the default. */
export function failure(action: 'failed' | 'delayed', defaultStatus: string, text: string): Dsn {
  const split = splitEnhancedStatus(text, defaultStatus);
  return {
    status: withStatusClass(split.status, action === 'failed' ? '5' : '4'),
    action,
    reason: split.text,
    diagnosticType: 'x-postfix',
    diagnosticText: split.text,
  };
}

/** A successful delivery. */
export function success(action: 'delivered' | 'relayed' | 'expanded', text: string, defaultStatus = '2.0.0'): Dsn {
  const split = splitEnhancedStatus(text, defaultStatus);
  return { status: split.status, action, reason: split.text };
}

/** Will the recipient be tried again? */
export function isTemporary(dsn: Dsn): boolean {
  return dsn.action === 'delayed';
}
