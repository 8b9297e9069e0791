/**
 * What a restriction says: nothing, "permit" (the rest of the list does not matter), or a refusal with its reply.
 * Refusing is also logged here, because a refusal under warn_if_reject is nothing but its log line.
 */
import { withStatusClass } from '../../../lib/mail/enhanced-status.ts';
import { quote822Local } from '../../../lib/mail/quote822.ts';
import { printable } from '../../../lib/util/byte-text.ts';
import type { Log } from '../../../lib/util/log.ts';
import type { MaybePromise } from '../../../lib/util/maybe-promise.ts';
import type { Subject } from './subject.ts';

export interface Refusal {
  /** "554 5.7.1 <x>: Relay access denied" */
  readonly reply: string;
}

export type Verdict = 'dunno' | 'permit' | Refusal;
export type { MaybePromise };

export function isRefusal(verdict: Verdict): verdict is Refusal {
  return typeof verdict === 'object';
}

/** What is judged, as replies name it. */
export type ReplyClass =
  | 'Client host'
  | 'Unverified Client host'
  | 'Helo command'
  | 'Sender address'
  | 'Recipient address'
  | 'Data command'
  | 'End-of-data'
  | 'Etrn command';

export interface RefusalSettings {
  /** soft_bounce: what is permanent is answered as temporary. */
  readonly softBounce: boolean;
  readonly log: Log;
}

/** An address as log lines show it: in external form (info_log_address_format). */
export function logged(address: string): string {
  return printable(address === '' ? '' : quote822Local(address));
}

/** Writes the line that tells an action upon the client: `ID: reject: RCPT from name[addr]: text; from=<…> …`. */
export function logAction(log: Log, subject: Subject, action: string, text: string): void {
  let line = `${subject.queueId}: ${action}: ${subject.stage} from ${subject.clientNameAddress}: ${text};`;
  if (subject.sender !== undefined) line += ` from=<${logged(subject.sender)}>`;
  if (subject.recipient !== undefined) line += ` to=<${logged(subject.recipient)}>`;
  line += ` proto=${subject.protocol}`;
  if (subject.heloName !== '') line += ` helo=<${printable(subject.heloName)}>`;
  if (subject.saslUsername !== '') line += ` sasl_username=<${printable(subject.saslUsername)}>`;
  log.info(line);
}

/**
 * Refuses with a code and an enhanced status of any class; the code decides which class it is. Under warn_if_reject, or
 * where an earlier defer_if_reject makes it temporary, the verdict is another.
 */
export function refuse(
  settings: RefusalSettings,
  subject: Subject,
  code: number,
  status: string,
  text: string,
  { trouble = false } = {},
): Verdict {
  let reply = makeReply(settings, code, status, text);
  // What is wrong on our side is no matter of warnings.
  if (subject.warnIfReject && !trouble) {
    logAction(settings.log, subject, 'reject_warning', reply);
    return 'dunno';
  }
  // What soft_bounce makes temporary is permanent all the same.
  if (subject.deferIfReject !== undefined && code >= 500) reply = subject.deferIfReject.reply;
  logAction(settings.log, subject, 'reject', reply);
  return { reply };
}

export function makeReply(settings: RefusalSettings, code: number, status: string, text: string): string {
  const soft = settings.softBounce && code >= 500;
  const finalCode = soft ? code - 100 : code;
  return `${finalCode} ${withStatusClass(status, finalCode >= 500 ? '5' : '4')} ${printable(text, ' ')}`;
}

/** Remembers to defer where the outcome would be to permit; the first reason stays. Under warn_if_reject it is a refusal. */
export function deferIfPermit(
  settings: RefusalSettings,
  subject: Subject,
  code: number,
  status: string,
  text: string,
): void {
  if (subject.warnIfReject) refuse(settings, subject, code, status, text);
  else subject.deferIfPermit ??= { reply: makeReply(settings, code, status, text) };
}

/** Remembers to defer where the outcome would be to reject; the first reason stays. */
export function deferIfReject(
  settings: RefusalSettings,
  subject: Subject,
  code: number,
  status: string,
  text: string,
): void {
  subject.deferIfReject ??= { reply: makeReply(settings, code, status, text) };
}

/** An address that cannot be resolved or looked up for now. */
export function temporaryFailure(settings: RefusalSettings, subject: Subject, address: string): Verdict {
  return refuse(settings, subject, 451, '4.3.0', `<${address}>: Temporary lookup failure`, { trouble: true });
}

/** Nothing more than this is told a client about what is wrong on our side. */
export function serverError(settings: RefusalSettings, subject: Subject): Verdict {
  return refuse(settings, subject, 451, '4.3.5', 'Server configuration error', { trouble: true });
}
