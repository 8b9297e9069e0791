/**
 * A whole instance for tests, started as its users start it, in either shape, with stores and state of its own, and a next
 * hop (nodemailer's smtp-server) that keeps what it is sent.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { freePorts } from '../faults/ports.ts';
import { until } from '../support/until.ts';

export type Shape = 'one' | 'many';
export const ROOT = resolve(import.meta.dirname, '../..');
/** The command as users call it. */
const PROGRAM = join(ROOT, 'bin/postfleet');
/** What was built just before, where the runner says so; else the sources. */
const SOURCES = process.env.POSTFLEET_TEST_PROGRAM === undefined ? { POSTFLEET_SOURCES: '1' } : {};
/** Ports of an instance: five of its own, and one for the health of each process. */
const PORTS = 40;

export interface InstanceOptions {
  readonly shape?: Shape;
  /** Lines over the sample main.cf. */
  readonly mainCf?: string;
  /** Lines after the sample master.cf. */
  readonly masterCf?: string;
  /** The environment of the instance, over that of the test. */
  readonly environment?: Readonly<Record<string, string>>;
  /** State of an earlier instance; a folder of its own otherwise. */
  readonly directory?: string;
}

export interface TestInstance extends AsyncDisposable {
  readonly port: number;
  readonly directory: string;
  readonly pid: number;
  /** All log lines so far. */
  log(): string;
  /** Resolves to the first line that matches, when there is one. */
  logged(pattern: RegExp, seconds?: number): Promise<string>;
  /** Runs a command of the instance; rejects where the exit status is not among `statuses`. */
  command(
    name: string,
    args: readonly string[],
    options?: { stdin?: string | Buffer; statuses?: readonly number[] },
  ): Promise<string>;
  /** Ends it in order, keeping the state. */
  stop(): Promise<void>;
}

/** Resident megabytes of an instance's processes, by pid. */
export function residents(instance: number): Map<number, number> {
  const children = spawnSync('ps', ['-o', 'pid=', '--ppid', String(instance)], { encoding: 'utf8' }).stdout;
  const pids = [instance, ...children.split('\n').map(Number)];
  return new Map(
    pids
      .filter((pid) => pid > 0)
      .flatMap((pid) => {
        try {
          const status = readFileSync(`/proc/${pid}/status`, 'latin1');
          return [[pid, Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024] as const];
        } catch {
          // It has ended meanwhile.
          return [];
        }
      }),
  );
}

/** Runs a program to its end. */
export async function run(
  command: string,
  args: readonly string[],
  options: { stdin?: string | Buffer; statuses?: readonly number[]; environment?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: options.environment ?? process.env });
  const output: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => output.push(bytes));
  // A program that does not read its input is none of ours.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const { promise, resolve: done, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', done);
  const status = await promise;
  const text = Buffer.concat(output).toString('utf8');
  if (!(options.statuses ?? [0]).includes(status ?? -1))
    throw new Error(`${command} ended with status ${status}: ${text}`);
  return text;
}

function writeConfiguration(directory: string, { mainCf = '', masterCf = '' }: InstanceOptions): void {
  cpSync(join(ROOT, 'etc/postfleet'), directory, { recursive: true });
  const names = new Set([...mainCf.matchAll(/^(\w+)\s*=/gm)].map((match) => match[1]));
  const sample = readFileSync(join(directory, 'main.cf'), 'utf8')
    .split('\n')
    .filter((line) => !names.has(/^(\w+)\s*=/.exec(line)?.[1]));
  writeFileSync(join(directory, 'main.cf'), `${sample.join('\n')}\n${mainCf}\n`);
  const master = readFileSync(join(directory, 'master.cf'), 'utf8');
  writeFileSync(join(directory, 'master.cf'), `${master}\n${masterCf}\n`);
}

/** Starts one and waits until it is ready. */
export async function startInstance(options: InstanceOptions = {}): Promise<TestInstance> {
  const port = await freePorts(PORTS);
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'postfleet-e2e-'));
  const configuration = join(directory, 'etc');
  const state = join(directory, 'var');
  mkdirSync(directory, { recursive: true });
  writeConfiguration(configuration, options);
  const logFile = join(directory, 'mail.log');
  const output = openSync(logFile, 'a');
  const environment = { ...process.env, ...SOURCES, POSTFLEET_VAR: state, ...options.environment };
  const shape = options.shape === 'many' ? ['--processes'] : [];
  const child = spawn(PROGRAM, ['start', ...shape, '--var', state, '--port', String(port), '--config', configuration], {
    stdio: ['ignore', output, output],
    env: environment,
  });
  const exited = new Promise<void>((end) => child.once('exit', () => end()));
  const log = (): string => readFileSync(logFile, 'utf8');
  let running = true;
  void exited.then(() => (running = false));
  const health = async (base: number): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${base}/readyz`).catch(() => undefined))?.ok === true;
  // One for each process that the master has started.
  const pidFiles = (): string[] =>
    existsSync(join(state, 'run'))
      ? readdirSync(join(state, 'run')).filter((name) => name.endsWith('.service.pid'))
      : [];
  await until(
    'the instance is ready',
    async () => {
      if (!running) throw new Error(`the instance did not start:\n${log()}`);
      if (options.shape !== 'many') return health(port + 4);
      const services = pidFiles().length;
      const states = await Promise.all(Array.from({ length: services }, (_, at) => health(port + 4 + at)));
      return services > 0 && states.every(Boolean) && (await accepts(port));
    },
    90,
  ).catch((error: unknown) => {
    child.kill('SIGTERM');
    throw error;
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  return {
    port,
    directory,
    pid: child.pid!,
    log,
    logged: (pattern, seconds) =>
      until(
        `a log line like ${pattern}`,
        () =>
          log()
            .split('\n')
            .find((line) => pattern.test(line)),
        seconds,
      ),
    command: (name, args, commandOptions = {}) => run(PROGRAM, [name, ...args], { ...commandOptions, environment }),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve: answer } = Promise.withResolvers<boolean>();
  const socket = connect({ host: '127.0.0.1', port });
  socket.once('data', () => {
    socket.end('QUIT\r\n');
    answer(true);
  });
  socket.once('error', () => answer(false));
  socket.once('close', () => answer(false));
  return promise;
}

export interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly content: Buffer;
}

export interface NextHop extends AsyncDisposable {
  readonly port: number;
  readonly received: readonly Received[];
  /** What RCPT is answered with from now on: an SMTP code, or 250. */
  recipientReply: number;
  /** Resolves to the message that has this text, when it is there. */
  message(text: string, seconds?: number): Promise<Received>;
}

/** nodemailer's smtp-server on a free port. */
export async function startNextHop(): Promise<NextHop> {
  const received: Received[] = [];
  const hop = { recipientReply: 250 };
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    size: 100 * 1024 * 1024,
    logger: false,
    onRcptTo(_address, _session, callback) {
      if (hop.recipientReply === 250) callback();
      else callback(Object.assign(new Error('as the test wants it'), { responseCode: hop.recipientReply }));
    },
    onData(stream, session, callback) {
      const pieces: Buffer[] = [];
      stream.on('data', (piece: Buffer) => pieces.push(piece));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          content: Buffer.concat(pieces),
        });
        callback(null, 'taken');
      });
    },
  });
  server.on('error', () => undefined);
  const probe = createServer();
  await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening));
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  return Object.assign(hop, {
    port,
    received,
    message: (text: string, seconds?: number) =>
      until(
        `a message with "${text}" at the next hop`,
        () => received.find(({ content }) => content.includes(text)),
        seconds,
      ),
    async [Symbol.asyncDispose]() {
      await new Promise<void>((closed) => server.close(closed));
    },
  });
}

/** A script of SMTP over a raw socket: each line is sent when the reply to the one before has come. Resolves to the replies. */
export async function converse(port: number, lines: readonly (string | Buffer)[]): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port });
  const replies: string[] = [];
  let text = '';
  let wake: () => void = () => undefined;
  socket.setEncoding('latin1').on('data', (piece: string) => {
    text += piece;
    wake();
  });
  let closed = false;
  socket.on('close', () => {
    closed = true;
    wake();
  });
  socket.on('error', () => undefined);
  const reply = async (): Promise<void> => {
    for (;;) {
      const end = /(?:^|\n)\d{3}[ \r][^\n]*\n/.exec(text);
      if (end !== null) {
        const length = end.index + end[0].length;
        replies.push(text.slice(0, length).trimEnd());
        text = text.slice(length);
        return;
      }
      if (closed) {
        replies.push('closed');
        return;
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  await reply();
  for (const line of lines) {
    socket.write(line);
    await reply();
    if (closed && text === '') break;
  }
  socket.destroy();
  return replies;
}
