/**
 * Hands a message to a command: message on standard input, outcome by exit status (sysexits(3)) and, where output begins
 * with an enhanced status code, by that. See pipe(8), DIAGNOSTICS, and local(8), EXTERNAL COMMAND DELIVERY.
 *
 * The command is the leader of a process group of its own; at the time limit, or when the service ends, the whole group is
 * killed. It gets the environment that it is given and nothing else. Output beyond 4 KiB is thrown away.
 *
 * Side effects: a process. Rejects only with an error of `content`; the command is then killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { type Dsn, failure } from '../mail/dsn.ts';
import { enhancedStatusLength } from '../mail/enhanced-status.ts';
import { killGroup } from '../util/kill-group.ts';
import { printable } from '../util/log.ts';
import { failureOf } from './failure-of.ts';
import type { Rights } from './rights.ts';
import { exitMeaning } from './sysexits.ts';
import { errorText } from './system-error.ts';

const OUTPUT_LIMIT = 4096;

export interface Command {
  /** Program and arguments, run as they are; nothing is given to a shell that does not stand here. */
  readonly argv: readonly string[];
  /** How it is named in reports. */
  readonly name: string;
  /** Undefined: as ourselves. */
  readonly rights: Rights | undefined;
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Seconds; 0 for none. */
  readonly timeLimit: number;
}

export type CommandOutcome =
  | { readonly delivered: true; readonly output: string }
  | { readonly delivered: false; readonly dsn: Dsn };

/** Runs it; `content` is what it reads. */
export async function runCommand(
  command: Command,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<CommandOutcome> {
  const child = start(command);
  if ('delivered' in child) return child;
  const output = collect(child);
  const ended = new Promise<End>((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('close', (code, killedBy) => resolve({ code, killedBy }));
  });
  let late = false;
  const kill = (): void => killGroup(child);
  const timer =
    command.timeLimit > 0
      ? setTimeout(() => {
          late = true;
          kill();
        }, command.timeLimit * 1000)
      : undefined;
  signal.addEventListener('abort', kill, { once: true });
  try {
    await feed(child.stdin!, content);
    const end = await ended;
    if (late) return defeated('5.3.0', `Command time limit exceeded: "${command.name}"${output.forReport()}`);
    return judge(command, end, output);
  } catch (error) {
    kill();
    await ended;
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
}

function defeated(status: string, text: string): CommandOutcome {
  return { delivered: false, dsn: failureOf(status, text) };
}

function start(command: Command): ChildProcess | CommandOutcome {
  const [program = '', ...args] = command.argv;
  try {
    return spawn(program, args, {
      cwd: command.directory,
      env: command.environment,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      // With these, no group but gid is left to the process.
      ...(command.rights === undefined ? {} : { uid: command.rights.uid, gid: command.rights.gid }),
    });
  } catch (error) {
    // An argument with a NUL, for example: the command line can never work.
    return defeated('5.3.0', `cannot run command "${command.name}": ${errorText(error)}`);
  }
}

class Output {
  #text: Buffer = Buffer.alloc(0);

  add(piece: Buffer): void {
    const room = OUTPUT_LIMIT - this.#text.length;
    if (room > 0) this.#text = Buffer.concat([this.#text, piece.subarray(0, room)]);
  }

  /** On one line, without anything that could forge another. */
  get text(): string {
    return printable(this.#text.toString('utf8').replace(/[\r\n]/g, ' '));
  }

  forReport(): string {
    const { text } = this;
    return text.trim() === '' ? '' : `. Command output: ${text}`;
  }
}

function collect(child: ChildProcess): Output {
  const output = new Output();
  child.stdout!.on('data', (piece: Buffer) => output.add(piece));
  child.stderr!.on('data', (piece: Buffer) => output.add(piece));
  return output;
}

async function feed(input: Writable, content: AsyncIterable<Buffer>): Promise<void> {
  // A command need not read all of its input: its exit status says what came of it.
  let closed = false;
  input.on('error', () => {
    closed = true;
  });
  input.on('close', () => {
    closed = true;
  });
  for await (const piece of content) {
    if (closed) break;
    if (!input.write(piece)) await Promise.race([once(input, 'drain'), once(input, 'close')]).catch(() => undefined);
  }
  if (!closed) input.end();
}

type End = { readonly error: Error } | { readonly code: number | null; readonly killedBy: NodeJS.Signals | null };

function judge(command: Command, end: End, output: Output): CommandOutcome {
  if ('error' in end) return cannotRun(command, end.error);
  if (end.killedBy !== null) {
    return defeated(
      '4.3.0',
      `Command died with signal ${signalNumber(end.killedBy)}: "${command.name}"${output.forReport()}`,
    );
  }
  if (end.code === 0) return { delivered: true, output: output.text.trim() };
  const { text } = output;
  // A status code at the beginning of the output takes precedence over the exit status.
  if (enhancedStatusLength(text) > 0 && /^[45]/.test(text)) {
    return { delivered: false, dsn: { ...failureOf(text, text), diagnosticType: 'x-unix' } };
  }
  const meaning = exitMeaning(end.code ?? 1);
  const status = meaning?.status ?? '5.3.0';
  const what = meaning?.text ?? `Command died with status ${end.code}: "${command.name}"`;
  return {
    delivered: false,
    dsn: { ...failureOf(status, what + output.forReport()), diagnosticType: 'x-unix' },
  };
}

function cannotRun(command: Command, error: Error): CommandOutcome {
  const code = (error as NodeJS.ErrnoException).code;
  const text = `cannot run command "${command.name}": ${errorText(error)}`;
  // Too many processes or too little memory pass; so does what an administrator can put right while mail waits.
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EPERM' || code === 'ENOEXEC') {
    return { delivered: false, dsn: failure('delayed', '4.3.5', text) };
  }
  return { delivered: false, dsn: failure('delayed', '4.3.0', text) };
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGXFSZ: 25,
};

function signalNumber(name: string): number | string {
  return SIGNALS[name] ?? name;
}
