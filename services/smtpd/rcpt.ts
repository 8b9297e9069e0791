/** RCPT TO (RFC 5321 section 3.3) with NOTIFY and ORCPT (RFC 3461). */
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { type MailPath, parseMailPath } from '../../lib/smtp/mail-path.ts';
import { decodeXtext } from '../../lib/smtp/xtext.ts';
import { printable } from '../../lib/util/byte-text.ts';
import { unsupported } from './mail.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';
import type { Transaction } from './transaction.ts';

/** Bits of NOTIFY, as the envelope holds them. */
const NOTIFY: Readonly<Record<string, number>> = { NEVER: 1, SUCCESS: 2, FAILURE: 4, DELAY: 8 };
/** Characters of ORCPT (RFC 3461 section 4.2). */
const ORCPT = 500;

export function rcpt(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  const { transaction, settings } = session;
  if (transaction === undefined) return '503 5.5.1 Error: need MAIL command';
  if (session.chunking !== undefined) return '503 5.5.1 Error: RCPT after BDAT';
  if (words.length < 3 || words[1]!.text.toUpperCase() !== 'TO:') return '501 5.5.4 Syntax: RCPT TO:<address>';
  const word = words[2]!;
  const path = word.error ? undefined : pathOf(session, transaction, word.text);
  if (path === undefined || path.address === '') {
    session.context.log.warning(
      `Illegal address syntax from ${session.client} in RCPT command: ${printable(word.text)}`,
    );
    return '501 5.1.3 Bad recipient address syntax';
  }
  const options = words.length === 3 ? NO_OPTIONS : readParameters(session, words);
  if (typeof options === 'string') return options;
  if (transaction.recipients.length >= settings.recipientLimit) return tooMany(session, transaction);
  if (!session.counted || settings.recipientRateLimit === 0) return check(session, transaction, path.address, options);
  return session.context.counts
    .recipient(session)
    .then((refusal) => refusal ?? check(session, transaction, path.address, options));
}

function pathOf({ settings }: Session, { smtputf8 }: Transaction, text: string): MailPath {
  return parseMailPath(text, { strict: settings.strictEnvelopes, utf8: smtputf8 });
}

/** A client that goes on after the limit, and beyond the overshoot, makes errors. */
function tooMany(session: Session, transaction: Transaction): string {
  transaction.overshoot += 1;
  if (transaction.overshoot <= session.settings.recipientOvershootLimit) session.errors.forgive();
  return '452 4.5.3 Error: too many recipients';
}

interface Options {
  readonly notify: number;
  readonly originalRecipient: string;
}

const NO_OPTIONS: Options = { notify: 0, originalRecipient: '' };

function check(session: Session, transaction: Transaction, address: string, options: Options): MaybePromise<string> {
  const { subject, context } = session;
  subject.recipient = address;
  const refusal = context.policy.rcpt(subject);
  if (refusal instanceof Promise) return refusal.then((reply) => accept(session, transaction, address, options, reply));
  return accept(session, transaction, address, options, refusal);
}

function accept(
  session: Session,
  transaction: Transaction,
  address: string,
  options: Options,
  refusal: string | undefined,
): string {
  session.subject.recipient = undefined;
  if (refusal !== undefined) return refusal;
  if (session.transaction !== transaction) return '503 5.5.1 Error: need MAIL command';
  if (transaction.queueId === '') session.context.openMessage(session, transaction);
  transaction.recipients.push({
    address,
    originalAddress: '',
    dsnOriginalRecipient: options.originalRecipient,
    dsnNotify: options.notify,
  });
  session.subject.recipientCount = transaction.recipients.length;
  session.subject.soleRecipient = transaction.recipients.length === 1 ? address : undefined;
  return '250 2.1.5 Ok';
}

function readParameters(session: Session, words: readonly CommandWord[]): Options | string {
  let notify = 0;
  let originalRecipient = '';
  for (let at = 3; at < words.length; at++) {
    const text = words[at]!.text;
    const equals = text.indexOf('=');
    const name = (equals < 0 ? text : text.slice(0, equals)).toUpperCase();
    if (equals < 0) return unsupported(text);
    const value = text.slice(equals + 1);
    switch (name) {
      case 'NOTIFY': {
        if (session.discard.has('dsn')) return '501 5.7.1 DSN support is disabled';
        const bits = notify === 0 ? notifyBits(value) : undefined;
        if (bits === undefined) return '501 5.5.4 Error: Bad NOTIFY parameter syntax';
        notify = bits;
        break;
      }
      case 'ORCPT':
        if (session.discard.has('dsn')) return '501 5.7.1 DSN support is disabled';
        if (originalRecipient !== '' || !isOriginalRecipient(value))
          return '501 5.5.4 Error: Bad ORCPT parameter syntax';
        originalRecipient = value;
        break;
      default:
        return unsupported(text);
    }
  }
  return { notify, originalRecipient };
}

/** NEVER stands alone; the others may be combined. */
function notifyBits(value: string): number | undefined {
  let bits = 0;
  for (const item of value.split(',')) {
    const bit = NOTIFY[item.toUpperCase()];
    if (bit === undefined || !Object.hasOwn(NOTIFY, item.toUpperCase())) return undefined;
    bits |= bit;
  }
  return (bits & 1) !== 0 && bits !== 1 ? undefined : bits;
}

/** `rfc822;address` in xtext: a type and a text without control characters. */
function isOriginalRecipient(value: string): boolean {
  const semicolon = value.indexOf(';');
  if (semicolon < 1 || value.length > ORCPT) return false;
  const utf8 = value.slice(0, semicolon).toLowerCase() === 'utf-8';
  const decoded = utf8 ? value.slice(semicolon + 1) : decodeXtext(value.slice(semicolon + 1));
  return decoded !== undefined && decoded !== '' && printable(decoded) === decoded;
}
