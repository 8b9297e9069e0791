/** HELO and EHLO (RFC 5321 section 4.1.1.1): who the client says it is, and what this server offers. */
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { printable } from '../../lib/util/byte-text.ts';
import { resetTransaction } from './housekeeping.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';

export function helo(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  if (words.length < 2) return '501 Syntax: HELO hostname';
  return hello(session, words, 'HELO', () => `250 ${session.settings.myhostname}`);
}

export function ehlo(session: Session, words: readonly CommandWord[]): MaybePromise<string> {
  if (words.length < 2) return '501 Syntax: EHLO hostname';
  return hello(session, words, 'EHLO', () => {
    // Also of one that is not told so: what counts is that it speaks ESMTP.
    session.pipelining = true;
    return session.context.ehlo(session);
  });
}

/** What could be taken for syntax in a header or in a table becomes `?`. */
function harmless(name: string): string {
  return printable(name).replace(/[ <>()\\";@]/g, '?');
}

function hello(
  session: Session,
  words: readonly CommandWord[],
  stage: 'HELO' | 'EHLO',
  accept: () => string,
): MaybePromise<string> {
  const { subject, context } = session;
  const name = words
    .slice(1)
    .map((word) => word.text)
    .join(' ');
  const before = subject.heloName;
  subject.heloName = printable(name);
  const refusal = context.policy.helo(subject, stage);
  const answer = (reply: string | undefined): string => {
    subject.heloName = before;
    if (reply !== undefined) return reply;
    resetTransaction(session);
    subject.heloName = harmless(name);
    // HELO does not take back an EHLO: what was said of pipelining then still counts.
    if (stage === 'EHLO') subject.protocol = 'ESMTP';
    return accept();
  };
  return refusal instanceof Promise ? refusal.then(answer) : answer(refusal);
}
