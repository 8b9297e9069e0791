/**
 * From a command line to its reply: syntax, the command's own rules for pipelining and junk, and what is no SMTP at all.
 *
 * Logs commands that were sent ahead of their time, and clients that speak another protocol.
 */
import { commandWords } from '../../lib/smtp/command-line.ts';
import { printable } from '../../lib/util/byte-text.ts';
import { isGoodReply } from './command-counts.ts';
import { type Command, commands, UNKNOWN_COMMAND } from './commands.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';

/** Characters of a client's text that are shown in the log. */
const SAMPLE = 100;

/** Carries out a command; the reply is empty where a receiver gives it later. */
export function runCommandLine(session: Session, sent: string): MaybePromise<string> {
  const { settings } = session;
  const line = beforeNul(sent);
  if (settings.smtputf8 && !line.isWellFormed()) return malformed(session, '500 5.5.2 Error: bad UTF-8 syntax');
  const words = commandWords(line);
  const verb = words[0]?.text.toUpperCase() ?? '';
  if (verb === '') return malformed(session, '500 5.5.2 Error: bad syntax');
  // These override the commands of the protocol, and are counted as none.
  if (settings.noopCommands.has(verb)) {
    session.errors.junkCommand();
    return '250 2.0.0 Ok';
  }
  const command = commands.get(verb);
  if (command === undefined) return runUnknown(session, words[0]!.text, sent);
  if (session.accessDenied && command.name !== 'QUIT') return finished(session, command, accessDenied(session));
  if (command.limited) session.errors.junkCommand();
  session.where = command.name;
  if ((command.last || !session.pipelining) && isAhead(session, command.name)) {
    session.ending = true;
    return finished(session, command, '554 5.5.0 Error: SMTP protocol synchronization');
  }
  const reply = command.run(session, words, line);
  return reply instanceof Promise
    ? reply.then((text) => finished(session, command, text))
    : finished(session, command, reply);
}

/** A line ends for its reader where a NUL stands. */
function beforeNul(line: string): string {
  const end = line.indexOf('\0');
  return end < 0 ? line : line.slice(0, end);
}

function malformed(session: Session, reply: string): string {
  session.where = 'UNKNOWN';
  return finished(session, UNKNOWN_COMMAND, reply);
}

function accessDenied(session: Session): string {
  return `503 5.7.0 Error: access denied for ${session.client}`;
}

/** The client sent more than the command, which it must not, and that ends the session. The log is told once. */
function isAhead(session: Session, command: string): boolean {
  if (session.inputWaiting === 0) return false;
  if (!session.subject.illegalPipelining) noteEarlyInput(session, command);
  return session.settings.forbidUnauthPipelining;
}

/** Counts a command that has its reply. */
function finished(session: Session, command: Command, reply: string): string {
  if (reply !== '') session.counts.add(command.index, isGoodReply(reply));
  return reply;
}

function runUnknown(session: Session, verb: string, line: string): MaybePromise<string> {
  session.where = 'UNKNOWN';
  const answer = (forbidden: boolean): string => {
    if (!forbidden && !isHeaderWord(verb))
      return finished(
        session,
        UNKNOWN_COMMAND,
        session.accessDenied ? accessDenied(session) : '500 5.5.2 Error: command not recognized',
      );
    session.context.log.warning(`non-SMTP command from ${session.client}: ${printable(line.slice(0, SAMPLE))}`);
    session.ending = true;
    return finished(session, UNKNOWN_COMMAND, '221 2.7.0 Error: I can break rules, too. Goodbye.');
  };
  const forbidden = session.context.isForbidden(verb);
  return forbidden instanceof Promise ? forbidden.then(answer) : answer(forbidden);
}

/** The client sent more before it could know the answer (RFC 2920 section 3.1). */
export function noteEarlyInput(session: Session, after: string): void {
  session.subject.illegalPipelining = true;
  const sample = session.waitingSample(SAMPLE).replaceAll('\r', '\\r').replaceAll('\n', '\\n');
  session.context.log.info(`improper command pipelining after ${after} from ${session.client}: ${printable(sample)}`);
}

/** `Name:` at the start: a mail header or HTTP header that was sent as a command. */
function isHeaderWord(word: string): boolean {
  let at = 0;
  while (at < word.length && word.charCodeAt(at) > 32 && word.charCodeAt(at) < 127 && word[at] !== ':') at += 1;
  return at > 0 && word[at] === ':';
}
