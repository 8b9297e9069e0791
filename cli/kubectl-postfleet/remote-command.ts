/**
 * Postfix's commands, run in a pod of the MailServer: there they have its configuration, its tables and the token of its
 * services. What they print on standard error is passed on; so is a status other than 0.
 */
import { PassThrough, type Readable, type Writable } from 'node:stream';
import { EX, FatalError } from '../../lib/util/errors.ts';
import { type Cluster, choosePod } from './cluster.ts';

/** How the image starts a command; its working directory is that of the program. */
const PROGRAM = ['node', 'dist/bin/postfleet.js'];

/** Pods of these services answer queue commands without a call to another pod. */
const PREFERRED = ['showq', 'flush', 'qmgr'];

/** Bytes of output that a caller who wants it whole may get. */
const LARGEST_OUTPUT = 16 * 1024 * 1024;

export interface RemoteOptions {
  readonly cluster: Cluster;
  readonly mailServer: string;
  readonly stderr: Writable;
}

export interface RemoteCommand {
  readonly argv: readonly string[];
  readonly stdin?: Readable;
}

/** Runs `postqueue -j` and its like with their output to a stream; resolves to the exit status. */
export async function runRemote(options: RemoteOptions, command: RemoteCommand, stdout: Writable): Promise<number> {
  const pod = await choosePod(options.cluster, options.mailServer, PREFERRED);
  const streams = { stdout, stderr: options.stderr, ...(command.stdin === undefined ? {} : { stdin: command.stdin }) };
  return options.cluster.exec(pod.name, [...PROGRAM, ...command.argv], streams);
}

/** The lines that a command prints, as they come, without their ends; then its exit status. */
export async function* remoteLines(options: RemoteOptions, command: RemoteCommand): AsyncGenerator<string, number> {
  const output = new PassThrough();
  const status = runRemote(options, command, output).finally(() => output.end());
  // A rejection is met below; until then it must not count as unhandled.
  status.catch(() => undefined);
  let rest = '';
  output.setEncoding('utf8');
  for await (const chunk of output as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    if (rest.length > LARGEST_OUTPUT) throw tooLong(command);
    yield* lines;
  }
  if (rest !== '') yield rest;
  return await status;
}

export interface RemoteResult {
  readonly status: number;
  readonly output: string;
}

/** What a command prints, whole. */
export async function remoteOutput(options: RemoteOptions, command: RemoteCommand): Promise<RemoteResult> {
  const lines = remoteLines(options, command);
  let output = '';
  for (let next = await lines.next(); ; next = await lines.next()) {
    if (next.done === true) return { status: next.value, output };
    output += `${next.value}\n`;
    if (output.length > LARGEST_OUTPUT) throw tooLong(command);
  }
}

function tooLong({ argv }: RemoteCommand): FatalError {
  return new FatalError(`${argv[0]} printed more than ${LARGEST_OUTPUT} bytes`, { exitCode: EX.DATAERR });
}
