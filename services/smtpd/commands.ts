/**
 * The commands of the protocol by name: what carries each out, and what is special about it.
 */
import type { CommandWord } from '../../lib/smtp/command-line.ts';
import { bdat } from './bdat.ts';
import { data } from './data.ts';
import { ehlo, helo } from './hello.ts';
import { auth, etrn, help, noop, quit, rset, starttls, vrfy } from './housekeeping.ts';
import { mail } from './mail.ts';
import { rcpt } from './rcpt.ts';
import type { MaybePromise } from './restrictions/verdict.ts';
import type { Session } from './session.ts';
import { xclient, xforward } from './xclient.ts';

/** Gives the reply, without its last line end; empty where a receiver that was set gives it. */
export type RunCommand = (session: Session, words: readonly CommandWord[], line: string) => MaybePromise<string>;

export interface Command {
  readonly name: string;
  /** Place in COMMAND_NAMES. */
  readonly index: number;
  readonly run: RunCommand;
  /** Counts as junk (smtpd_junk_command_limit). */
  readonly limited: boolean;
  /** Must be the last of a group of pipelined commands (RFC 2920 section 3.1). */
  readonly last: boolean;
}

/** In the order in which `disconnect from` lists them. */
export const COMMAND_NAMES = [
  'HELO',
  'EHLO',
  'XCLIENT',
  'XFORWARD',
  'STARTTLS',
  'AUTH',
  'MAIL',
  'RCPT',
  'DATA',
  'BDAT',
  'RSET',
  'NOOP',
  'VRFY',
  'ETRN',
  'QUIT',
  'HELP',
  'UNKNOWN',
] as const;

const RUN: Readonly<Record<string, readonly [run: RunCommand, limited: boolean, last: boolean]>> = {
  HELO: [helo, true, true],
  EHLO: [ehlo, true, true],
  XCLIENT: [xclient, false, false],
  XFORWARD: [xforward, false, false],
  STARTTLS: [starttls, false, false],
  AUTH: [auth, false, false],
  MAIL: [mail, false, false],
  RCPT: [rcpt, false, false],
  DATA: [data, false, true],
  BDAT: [bdat, false, false],
  RSET: [rset, true, false],
  NOOP: [noop, true, true],
  VRFY: [vrfy, true, true],
  ETRN: [etrn, true, false],
  QUIT: [quit, false, false],
  HELP: [help, false, false],
};

export const commands: ReadonlyMap<string, Command> = new Map(
  Object.entries(RUN).map(([name, [run, limited, last]]) => [
    name,
    { name, index: (COMMAND_NAMES as readonly string[]).indexOf(name), run, limited, last },
  ]),
);

export const UNKNOWN_COMMAND: Command = {
  name: 'UNKNOWN',
  index: COMMAND_NAMES.length - 1,
  run: () => '500 5.5.2 Error: command not recognized',
  limited: false,
  last: false,
};
