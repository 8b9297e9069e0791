/**
 * Which notices are due for a message, and to whom. Pure.
 *
 * - The sender hears of failures, delays and successes as NOTIFY of each recipient says (RFC 3461 section 4.1); who said
 *   nothing hears of failures and delays.
 * - A message from the null sender is a notice itself. It goes to 2bounce_notice_recipient where notify_classes has
 *   "2bounce" or "bounce", with the double-bounce sender, and is dropped elsewhere.
 * - A message from the double-bounce sender ends here: nobody is told, or mail would go round for ever.
 * - The postmaster gets copies where notify_classes has "bounce" or "delay": all recipients, and headers only.
 */
import { NoticeKind } from '../../lib/clients/protocols.ts';
import type { BounceTemplateName } from '../../lib/mail/bounce-template.ts';
import type { BounceSettings } from './settings.ts';

/** Bits of DSN NOTIFY. */
const Notify = { SUCCESS: 2, FAILURE: 4, DELAY: 8 } as const;
/** sendmail -bv and -v: the sender asked for a report of everything. */
const TRACE_REQUESTED = 3;

export interface PlannedNotice {
  /** "sender" or "postmaster": for the log, and for the key of the submission. */
  readonly audience: 'sender' | 'postmaster';
  readonly template: BounceTemplateName;
  readonly to: string;
  /** Envelope sender of the notice. */
  readonly from: string;
  /** NOTIFY bit that a recipient must have, or none at all; undefined: all recipients. */
  readonly filter: number | undefined;
  /** What of the original is attached; `message` yields to bounce_size_limit. */
  readonly original: 'message' | 'headers';
  /** A report of its own for each recipient, sent to an address that names it (VERP_README). */
  readonly verp: boolean;
}

export interface Noticed {
  readonly kind: NoticeKind;
  readonly sender: string;
  /** RET: "FULL", "HDRS" or empty. */
  readonly dsnRet: string;
  readonly traceFlags: number;
  readonly verpDelimiters: string;
}

/** "discard": a notice to the postmaster that could not be delivered; this is to be logged. */
export function planNotices(message: Noticed, settings: BounceSettings): PlannedNotice[] | 'discard' {
  if (isDoubleBounceSender(message.sender, settings)) return message.kind === NoticeKind.BOUNCE ? 'discard' : [];
  switch (message.kind) {
    case NoticeKind.BOUNCE:
      return message.sender === '' ? doubleBounce(settings) : singleBounce(message, settings);
    case NoticeKind.DELAY:
      return delay(message, settings);
    case NoticeKind.TRACE:
      return message.sender === '' ? [] : [report(message)];
    default:
      return [];
  }
}

function isDoubleBounceSender(sender: string, settings: BounceSettings): boolean {
  const at = sender.lastIndexOf('@');
  const local = at < 0 ? sender : sender.slice(0, at);
  const domain = at < 0 ? '' : sender.slice(at + 1).toLowerCase();
  const own = ['', settings.myorigin.toLowerCase(), settings.myhostname.toLowerCase()];
  return local.toLowerCase() === settings.doubleBounceSender.toLowerCase() && own.includes(domain);
}

export function doubleBounceAddress(settings: BounceSettings): string {
  return `${settings.doubleBounceSender}@${settings.myorigin}`;
}

function toPostmaster(
  settings: BounceSettings,
  to: string,
  template: 'failure' | 'delay',
  original: 'message' | 'headers',
): PlannedNotice {
  const from = doubleBounceAddress(settings);
  return { audience: 'postmaster', template, to, from, filter: undefined, original, verp: false };
}

function singleBounce(message: Noticed, settings: BounceSettings): PlannedNotice[] {
  const notices: PlannedNotice[] = [
    {
      audience: 'sender',
      template: 'failure',
      to: message.sender,
      from: '',
      filter: Notify.FAILURE,
      original: message.dsnRet === 'HDRS' ? 'headers' : 'message',
      verp: settings.verp && message.verpDelimiters !== '',
    },
  ];
  if (settings.notifyClasses.has('bounce')) {
    notices.push(toPostmaster(settings, settings.recipients.bounce, 'failure', 'headers'));
  }
  return notices;
}

function doubleBounce(settings: BounceSettings): PlannedNotice[] {
  const { notifyClasses, recipients } = settings;
  if (!notifyClasses.has('2bounce') && !notifyClasses.has('bounce')) return [];
  return [toPostmaster(settings, recipients.doubleBounce, 'failure', 'message')];
}

function delay(message: Noticed, settings: BounceSettings): PlannedNotice[] {
  const notices: PlannedNotice[] = [];
  if (message.sender !== '') {
    const { sender: to } = message;
    notices.push({
      audience: 'sender',
      template: 'delay',
      to,
      from: '',
      filter: Notify.DELAY,
      original: 'headers',
      verp: false,
    });
  }
  if (settings.notifyClasses.has('delay')) {
    notices.push(toPostmaster(settings, settings.recipients.delay, 'delay', 'headers'));
  }
  return notices;
}

function report(message: Noticed): PlannedNotice {
  const common = { audience: 'sender', to: message.sender, from: '', original: 'headers', verp: false } as const;
  return (message.traceFlags & TRACE_REQUESTED) !== 0
    ? { ...common, template: 'verify', filter: undefined }
    : { ...common, template: 'success', filter: Notify.SUCCESS };
}

/** Is the sender to be told of a recipient with this NOTIFY? Success is told on request only. */
export function wantsNotice(dsnNotify: number, filter: number | undefined): boolean {
  if (filter === undefined) return true;
  if (dsnNotify === 0) return filter !== Notify.SUCCESS;
  return (dsnNotify & filter) !== 0;
}

/** `sender+user=domain@host`: where the report of one recipient goes (VERP_README). Delimiters are two characters. */
export function verpAddress(sender: string, recipient: string, delimiters: string): string {
  const [first = '+', second = '='] = delimiters;
  const split = sender.lastIndexOf('@');
  const local = split < 0 ? sender : sender.slice(0, split);
  const domain = split < 0 ? '' : sender.slice(split);
  return `${local}${first}${recipient.replace(/@(?=[^@]*$)/, second)}${domain}`;
}
