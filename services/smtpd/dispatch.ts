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
export function runCommandLine(session: Session, line: string): MaybePromise<string> {
  const { settings } = session;
  const words = commandWords(line);
  const verb = words[0]?.text ?? '';
  if (verb === '' || line.includes('\0')) return finished(session, UNKNOWN_COMMAND, '500 5.5.2 Error: bad syntax');
  if (settings.smtputf8 && !line.isWellFormed()) {
    return finished(session, UNKNOWN_COMMAND, '500 5.5.2 Error: bad UTF-8 syntax');
  }
  const command = commands.get(verb.toUpperCase());
  if (command === undefined) return runUnknown(session, verb, line);
  if (command.limited && ++session.junkCount > settings.junkCommandLimit) session.errorCount += 1;
  const mustBeLast = (command.last || !session.pipelining) && command.name !== 'QUIT';
  if (mustBeLast && session.inputWaiting > 0) {
    noteEarlyInput(session, command.name);
    if (settings.forbidUnauthPipelining) {
      session.ending = true;
      return finished(session, command, '554 5.5.0 Error: SMTP protocol synchronization');
    }
  }
  session.where = command.name;
  if (session.accessDenied && command.name !== 'QUIT') {
    return finished(session, command, `503 5.7.0 Error: access denied for ${session.client}`);
  }
  const reply = command.run(session, words, line);
  return reply instanceof Promise
    ? reply.then((text) => finished(session, command, text))
    : finished(session, command, reply);
}

/** Counts a command that has its reply. */
function finished(session: Session, command: Command, reply: string): string {
  if (reply !== '') session.counts.add(command.index, isGoodReply(reply));
  return reply;
}

function runUnknown(session: Session, verb: string, line: string): MaybePromise<string> {
  session.where = 'UNKNOWN';
  if (session.settings.noopCommands.has(verb.toUpperCase())) return finished(session, UNKNOWN_COMMAND, '250 2.0.0 Ok');
  const answer = (forbidden: boolean): string => {
    if (!forbidden && !isHeaderLine(line))
      return finished(session, UNKNOWN_COMMAND, '500 5.5.2 Error: command not recognized');
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

/** `Name:` or `Name :` at the start: a mail header or HTTP header that was sent as a command. */
function isHeaderLine(line: string): boolean {
  let at = 0;
  while (at < line.length && line.charCodeAt(at) > 32 && line.charCodeAt(at) < 127 && line[at] !== ':') at += 1;
  if (at === 0) return false;
  while (line[at] === ' ' || line[at] === '\t') at += 1;
  return line[at] === ':';
}
