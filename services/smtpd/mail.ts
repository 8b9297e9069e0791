/** MAIL FROM (RFC 5321 section 3.3) with SIZE, BODY, SMTPUTF8, RET, ENVID and XVERP. */
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { parseMailPath } from '../../lib/smtp/mail-path.ts';
import { decodeXtext } from '../../lib/smtp/xtext.ts';
import { printable } from '../../lib/util/byte-text.ts';
import { resetTransaction } from './housekeeping.ts';
import { sizeRefusal } from './queue-space.ts';
import { noActions } from './restrictions/subject.ts';
import { logAction, type MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';
import { Transaction } from './transaction.ts';

/** Characters of ENVID: 100 once decoded (RFC 3461 section 4.4). */
const ENVID = 100;
/** A number with more digits is no size that a file could have. */
const SIZE_DIGITS = 18;

export function mail(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  const { settings, subject } = session;
  if (settings.heloRequired && subject.heloName === '') return '503 5.5.1 Error: send HELO/EHLO first';
  if (session.transaction !== undefined) return '503 5.5.1 Error: nested MAIL command';
  if (session.chunking !== undefined) return '503 5.5.1 Error: MAIL after BDAT';
  if (words.length < 3 || words[1]!.text.toUpperCase() !== 'FROM:') return '501 5.5.4 Syntax: MAIL FROM:<address>';
  const word = words[2]!;
  const utf8 = settings.smtputf8 && words.slice(3).some(({ text }) => text.toUpperCase() === 'SMTPUTF8');
  const path = word.error ? undefined : parseMailPath(word.text, { strict: settings.strictEnvelopes, utf8 });
  if (path === undefined) {
    session.context.log.warning(
      `Illegal address syntax from ${session.client} in MAIL command: ${printable(word.text)}`,
    );
    return '501 5.1.7 Bad sender address syntax';
  }
  const transaction = new Transaction(path.address);
  const problem = readParameters(session, transaction, words);
  if (problem !== undefined) return problem;
  if (!transaction.smtputf8 && settings.strictSmtputf8 && !isAscii(path.address)) {
    return '553 5.6.7 Must declare SMTPUTF8 to send unicode address';
  }
  if (!session.counted || settings.messageRateLimit === 0) return check(session, transaction);
  return session.context.counts.message(session).then((refusal) => refusal ?? check(session, transaction));
}

function check(session: Session, transaction: Transaction): MaybePromise<string> {
  const { context, subject } = session;
  subject.sender = transaction.sender;
  subject.smtputf8 = transaction.smtputf8;
  subject.recipient = undefined;
  const accept = (refusal: string | undefined): MaybePromise<string> => {
    if (refusal !== undefined) {
      refused(session);
      return refusal;
    }
    const size = sizeRefusal(context, transaction.declaredSize);
    const judge = (reply: string | undefined): string => {
      if (reply !== undefined) logAction(context.log, subject, 'reject', reply);
      return begin(session, transaction, reply);
    };
    return size instanceof Promise ? size.then(judge) : judge(size);
  };
  const judged = (deferred: string | undefined): MaybePromise<string> => {
    if (deferred !== undefined) return accept(deferred);
    const refusal = context.policy.mail(subject);
    return refusal instanceof Promise ? refusal.then(accept) : accept(refusal);
  };
  const deferred = context.policy.rewriteContext(subject);
  return deferred instanceof Promise ? deferred.then(judged) : judged(deferred);
}

/** What access tables asked for is not asked of the next sender's mail. */
function refused(session: Session): void {
  resetTransaction(session);
  session.subject.actions = noActions();
}

function begin(session: Session, transaction: Transaction, refusal: string | undefined): string {
  if (session.gone) return '';
  if (refusal !== undefined) {
    refused(session);
    return refusal;
  }
  session.transaction = transaction;
  transaction.arrivalTime = Date.now() * 1000;
  if (!session.settings.delayOpen) session.context.openMessage(session, transaction);
  return '250 2.1.0 Ok';
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

/** Reads what stands behind the address; gives the reply where something is wrong with it. */
function readParameters(session: Session, transaction: Transaction, words: readonly CommandWord[]): string | undefined {
  const { settings, discard } = session;
  for (let at = 3; at < words.length; at++) {
    const text = words[at]!.text;
    const equals = text.indexOf('=');
    const name = (equals < 0 ? text : text.slice(0, equals)).toUpperCase();
    const value = equals < 0 ? '' : text.slice(equals + 1);
    switch (name) {
      case 'BODY':
        if (value.toUpperCase() === '8BITMIME') transaction.encoding = '8bit';
        else if (value.toUpperCase() === '7BIT') transaction.encoding = '7bit';
        else return unsupported(text);
        break;
      case 'SIZE': {
        if (equals < 0) return unsupported(text);
        if (!/^\d+$/.test(value)) return '501 5.5.4 Bad message size syntax';
        if (value.length > SIZE_DIGITS) return '552 5.3.4 Message size exceeds file system imposed limit';
        transaction.declaredSize = Number(value);
        break;
      }
      case 'SMTPUTF8':
        if (!settings.smtputf8 || discard.has('smtputf8') || equals >= 0) return unsupported(text);
        transaction.smtputf8 = true;
        break;
      case 'RET':
        if (discard.has('dsn')) return '501 5.7.1 DSN support is disabled';
        if (transaction.dsnRet !== '') return '501 5.5.4 Bad RET parameter syntax';
        if (!/^(full|hdrs)$/i.test(value)) return '501 5.5.4 Bad RET parameter syntax';
        transaction.dsnRet = value.toUpperCase();
        break;
      case 'ENVID': {
        if (discard.has('dsn')) return '501 5.7.1 DSN support is disabled';
        const decoded = decodeXtext(value);
        if (transaction.dsnEnvid !== '' || decoded === undefined || decoded === '' || decoded.length > ENVID) {
          return '501 5.5.4 Bad ENVID parameter syntax';
        }
        if (printable(decoded) !== decoded) return '501 5.5.4 Bad ENVID parameter syntax';
        transaction.dsnEnvid = value;
        break;
      }
      case 'AUTH':
        // RFC 4954 section 5: accepted, and not believed. The address may stand in brackets, which makes it a word.
        if (value === '' && words[at + 1]?.text.startsWith('<')) at += 1;
        break;
      default:
        return unsupported(text);
    }
  }
  return undefined;
}

export function unsupported(option: string): string {
  return `555 5.5.4 Unsupported option: ${printable(option)}`;
}
