/** RSET, NOOP, VRFY, ETRN, HELP and QUIT (RFC 5321 section 4.1.1, RFC 1985), and what is refused: STARTTLS and AUTH. */
import { isHostName } from '../../lib/mail/mail-domain.ts';
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { parseMailPath } from '../../lib/smtp/mail-path.ts';
import { printable } from '../../lib/util/byte-text.ts';
import { noActions } from './restrictions/subject.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';

/** Forgets the transaction: what was said of sender, recipients and content. */
export function resetTransaction(session: Session): void {
  const { subject, transaction } = session;
  transaction?.span?.end();
  session.transaction = undefined;
  session.chunking?.content?.abort('transaction ended');
  session.chunking = undefined;
  session.receiveWith(undefined);
  subject.sender = undefined;
  subject.smtputf8 = false;
  subject.recipient = undefined;
  subject.recipientCount = 0;
  subject.soleRecipient = undefined;
  subject.queueId = 'NOQUEUE';
  if (transaction !== undefined) subject.actions = noActions();
}

export function rset(session: Session, words: readonly CommandWord[]): string {
  if (words.length !== 1) return '501 5.5.4 Syntax: RSET';
  resetTransaction(session);
  return '250 2.0.0 Ok';
}

export function noop(): string {
  return '250 2.0.0 Ok';
}

export function quit(session: Session): string {
  session.ending = true;
  return '221 2.0.0 Bye';
}

/** What this server does not offer it does not list. */
export function help(): string {
  return '214 2.0.0 Commands: BDAT DATA EHLO ETRN HELO HELP MAIL NOOP QUIT RCPT RSET VRFY XCLIENT XFORWARD';
}

export function starttls(_session: Session, words: readonly CommandWord[]): string {
  return words.length === 1 ? '502 5.5.1 Error: command not implemented' : '501 5.5.4 Syntax: STARTTLS';
}

export function auth({ settings, subject }: Session): string {
  if (settings.heloRequired && subject.heloName === '') return '503 5.5.1 Error: send HELO/EHLO first';
  return '503 5.5.1 Error: authentication not enabled';
}

/** Tells whether mail for an address would be taken; never what it is expanded to. */
export function vrfy(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  const { settings, subject, context } = session;
  if (settings.disableVrfy) return '502 5.5.1 VRFY command is disabled';
  if (words.length < 2) return `501 5.5.4 Syntax: VRFY address${settings.smtputf8 ? ' [SMTPUTF8]' : ''}`;
  const last = words[words.length - 1]!.text.toUpperCase();
  const arguments_ = words.length > 2 && last === 'SMTPUTF8' ? words.slice(1, -1) : words.slice(1);
  const asGiven = arguments_.map((word) => word.text).join(' ');
  const path = parseMailPath(asGiven);
  if (path === undefined || path.address === '') return '501 5.1.3 Bad recipient address syntax';
  const saved = subject.recipient;
  subject.recipient = path.address;
  const answer = (refusal: string | undefined): string => {
    subject.recipient = saved;
    return refusal ?? `252 2.0.0 ${printable(asGiven)}`;
  };
  const refusal = context.policy.rcpt(subject, 'VRFY');
  return refusal instanceof Promise ? refusal.then(answer) : answer(refusal);
}

/** Asks for the delivery of what waits for a site. Its replies have no enhanced status codes, as with Postfix. */
export function etrn(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  const { settings, subject, context } = session;
  if (settings.heloRequired && subject.heloName === '') return '503 Error: send HELO/EHLO first';
  if (session.transaction !== undefined) return '503 Error: MAIL transaction in progress';
  if (words.length !== 2) return '500 Syntax: ETRN domain';
  let site = words[1]!.text;
  if (site.startsWith('@') || site.startsWith('#')) site = site.slice(1);
  if (!isHostName(site)) return '501 Error: invalid parameter syntax';
  subject.recipient = site;
  const answer = async (refusal: string | undefined): Promise<string> => {
    subject.recipient = undefined;
    if (refusal !== undefined) return refusal;
    try {
      if (!(await context.isFlushed(site))) return `459 <${site}>: service unavailable`;
      await context.queue().flush({ queueId: '', site }, context.signal);
      return '250 Queuing started';
    } catch (error) {
      context.log.warning(`flush of ${site}: ${error instanceof Error ? error.message : String(error)}`);
      return '458 Unable to queue messages';
    }
  };
  const refusal = context.policy.etrn(subject);
  return refusal instanceof Promise ? refusal.then(answer) : answer(refusal);
}
