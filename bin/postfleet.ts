#!/usr/bin/env node
/**
 * postfleet: starts an instance, one service of it, or one of the commands.
 *
 *   postfleet start [--processes] [--var DIR] [--port N] [--config DIR]
 *   postfleet <daemon> [--service NAME/TYPE …] [--config DIR]
 *   postfleet migrate [--config DIR]
 *   postfleet reload | status | stop | abort | flush | check     (as postfix(1); [--var DIR] names the instance)
 *   postfleet <command> …       (postqueue, postconf, sendmail … also under their own names)
 *
 * Exit statuses are those of sysexits(3). What keeps it from going on is one line on standard error.
 */
import { basename, delimiter, join, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { parseArgs } from 'node:util';
import { isRunning, readAnnouncement } from '../lib/command/running-instance.ts';
import { readEnvironment } from '../lib/config/environment.ts';
import { Configuration } from '../lib/config/settings.ts';
import { EX, FatalError, PanicError } from '../lib/util/errors.ts';
import { flushLog } from '../lib/util/log.ts';
import { killChildren } from '../services/master/child.ts';
import { Instance } from '../services/master/instance.ts';
import { prepareStores, type Running, startMaster } from '../services/master/main.ts';
import { COMMANDS } from './commands.ts';
import { type MasterChannel, runService } from './run-service.ts';
import { SERVICES } from './services.ts';

const USAGE = `usage: postfleet start [--processes] [--var DIR] [--port N] [--config DIR]
       postfleet DAEMON [--service NAME/TYPE …] [--config DIR]
       postfleet migrate [--config DIR]
       postfleet reload|status|stop|abort|check [--var DIR]
       postfleet flush
       postfleet COMMAND [ARGUMENT …]

daemons:  ${[...SERVICES.keys()].join(' ')}
commands: ${[...COMMANDS.keys()].join(' ')}
`;

const DEFAULT_PORT = 2525;
/** This file as it is run: .ts from the sources, .js from dist/. */
const SELF = import.meta.filename;
const EXTENSION = SELF.endsWith('.ts') ? 'ts' : 'js';
const ROOT = resolve(import.meta.dirname, EXTENSION === 'ts' ? '..' : '../..');

/** SIGTERM and SIGINT end in order, as does the loss of the terminal; a second one ends at once, as a crash would. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) {
      killChildren();
      flushLog();
      process.kill(process.pid, 'SIGKILL');
    }
    controller.abort();
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, stop);
  const terminal = isatty(0);
  process.on('SIGHUP', () => {
    if (terminal && !isatty(0)) stop();
  });
  return controller.signal;
}

/** Calls back at each SIGHUP that does not mean the loss of the terminal. */
function onReload(reload: () => void): void {
  const terminal = isatty(0);
  process.on('SIGHUP', () => {
    if (!terminal || isatty(0)) reload();
  });
}

/** The master's channel, where this process has one; it keeps no process alive. */
function masterChannel(): MasterChannel | undefined {
  if (process.send === undefined) return undefined;
  return {
    onRequest(handle) {
      process.on('message', handle);
      process.channel?.unref();
    },
    onLost: (handle) => void process.once('disconnect', handle),
    tell(answer) {
      // A master that is gone asks no more.
      if (process.connected) process.send?.(answer, () => undefined);
    },
  };
}

function options(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      strict: true,
      options: {
        var: { type: 'string', default: process.env.POSTFLEET_VAR ?? 'var' },
        port: { type: 'string', default: String(DEFAULT_PORT) },
        config: { type: 'string' },
        service: { type: 'string', multiple: true, default: [] },
        processes: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new FatalError(error instanceof Error ? error.message : String(error), { cause: error, exitCode: EX.USAGE });
  }
}

function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port <= 65_530) return port;
  throw new FatalError(`--port ${text}: expected a number from 1 to 65530; four more ports above it are used`, {
    exitCode: EX.USAGE,
  });
}

/** The command line, for a shell in the current directory, that reaches the instance from wherever its state lies. */
function commandFor(instance: Instance): string {
  const quoted = (path: string): string =>
    /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
  const program = process.cwd() === ROOT ? 'bin/postfleet' : quoted(join(ROOT, 'bin/postfleet'));
  return instance.directory === join(ROOT, 'var') ? program : `POSTFLEET_VAR=${quoted(instance.directory)} ${program}`;
}

/** What a person wants to know first. Not part of the log: it goes to standard error where that is a terminal or not. */
function welcome(running: Running, instance: Instance, configDirectory: string): string {
  const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, '//');
  const postfleet = commandFor(instance);
  const port = running.smtp[0]?.split(':').at(-1) ?? '';
  return `
Postfleet is up.
  SMTP       ${running.smtp.join(', ')}
  health     http://${running.http}/readyz   metrics  http://${running.http}/metrics
  NATS       ${withoutPassword(running.natsUrl)}   durability: ${running.durability}
  Postgres   ${withoutPassword(running.postgresUrl)}
  settings   ${configDirectory}   state  ${instance.directory}

A first message:
  printf 'Subject: hello\\n\\nIt works.\\n' | ${postfleet} sendmail -f you@example.org "$USER"
  swaks --server 127.0.0.1:${port} --from you@example.org --to "$USER@localhost"
  ${postfleet} mailq
See the mailboxes in ${join(instance.directory, 'mail')}. Ctrl-C drains and stops.

`;
}

async function start(argv: string[]): Promise<number> {
  const values = options(argv);
  const configDirectory = resolve(values.config ?? process.env.MAIL_CONFIG ?? join(ROOT, 'etc/postfleet'));
  const other = readAnnouncement(values.var);
  if (other !== undefined && isRunning(other)) {
    throw new FatalError(`the Postfleet mail system is already running in ${values.var}: PID: ${other.pid}`, {
      exitCode: EX.UNAVAILABLE,
    });
  }
  const instance = new Instance(values.var, portNumber(values.port));
  const stop = stopSignal();
  let told = false;
  let reload = (): void => {
    told = true;
  };
  onReload(() => reload());
  const running = await unlessStopped(
    stop,
    startMaster({
      signal: stop,
      configDirectory,
      instance,
      environment: readEnvironment().parameters,
      searchPath: [join(ROOT, '.tools/bin'), process.env.PATH ?? ''].join(delimiter),
      services: SERVICES,
      threadFile: new URL(`./session-thread.${EXTENSION}`, import.meta.url),
      shape: values.processes ? 'many' : 'one',
      serviceCommand: [process.execPath, ...process.execArgv, SELF],
    }),
  );
  if (running === undefined) return EX.OK;
  flushLog();
  process.stderr.write(welcome(running, instance, configDirectory));
  reload = () => void running.reload();
  if (told) reload();
  await Promise.race([untilStopped(running, stop), untilAborted(running)]);
  return EX.OK;
}

/** What was started; undefined where it was told to stop before, and has. */
async function unlessStopped(stop: AbortSignal, starting: Promise<Running>): Promise<Running | undefined> {
  try {
    return await starting;
  } catch (error) {
    if (stop.aborted && error === stop.reason) return undefined;
    throw error;
  }
}

async function untilStopped(running: Running, stop: AbortSignal): Promise<void> {
  try {
    const stopped = new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
    if (stop.aborted) return;
    await Promise.race([running.failed, stopped]);
  } finally {
    await running[Symbol.asyncDispose]();
  }
}

/** SIGQUIT, which `postfleet abort` sends, ends the services as a crash would. */
async function untilAborted(running: Running): Promise<never> {
  await new Promise<void>((resolve) => process.once('SIGQUIT', () => resolve()));
  await running.abort();
  flushLog();
  process.exit(EX.OK);
}

async function runDaemon(command: string, argv: string[]): Promise<number> {
  const values = options(argv);
  const environment = readEnvironment();
  const configDirectory = resolve(values.config ?? environment.configDirectory);
  await runService({
    command,
    entries: values.service,
    configDirectory,
    environment: environment.parameters,
    stop: stopSignal(),
    onReload,
    master: masterChannel(),
  });
  return EX.OK;
}

async function migrateStores(argv: string[]): Promise<number> {
  const values = options(argv);
  const environment = readEnvironment();
  const configDirectory = resolve(values.config ?? environment.configDirectory);
  await prepareStores(Configuration.load(configDirectory, { environment: environment.parameters }));
  return EX.OK;
}

/** The environment of commands: the running instance's addresses, where one is found and nothing else was said. */
function commandEnvironment(): NodeJS.ProcessEnv {
  const variables = { POSTFLEET_VAR: join(ROOT, 'var'), ...process.env };
  const instance = readAnnouncement(variables.POSTFLEET_VAR);
  if (instance === undefined) return variables;
  const { configDirectory, parameters } = instance;
  const found = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), value]));
  return { MAIL_CONFIG: configDirectory, ...found, ...variables };
}

async function runCommand(name: string, argv: string[]): Promise<number> {
  const command = await COMMANDS.get(name)!();
  const { stdin, stdout, stderr } = process;
  return command(argv, { stdin, stdout, stderr, environment: commandEnvironment() });
}

async function main(): Promise<number> {
  const called = basename(process.argv[1] ?? '').replace(/\.[jt]s$/, '');
  const [name = '', ...argv] = COMMANDS.has(called) ? [called, ...process.argv.slice(2)] : process.argv.slice(2);
  if (COMMANDS.has(name)) return runCommand(name, argv);
  // The daemon of that name is always told which entry it is to run.
  if (name === 'flush' && !argv.includes('--service')) return runCommand('postqueue', ['-f', ...argv]);
  if (name === 'start') return start(argv);
  if (name === 'migrate') return migrateStores(argv);
  if (SERVICES.has(name)) return runDaemon(name, argv);
  (name === '--help' || name === '-h' ? process.stdout : process.stderr).write(USAGE);
  return name === '--help' || name === '-h' ? EX.OK : EX.USAGE;
}

// What cannot be told on a full disk, or to nobody, is no reason to end.
process.stderr.on('error', () => undefined);
try {
  process.exitCode = await main();
  flushLog();
} catch (error) {
  flushLog();
  if (error instanceof FatalError) {
    for (const line of error.message.split('\n')) process.stderr.write(`postfleet: fatal: ${line}\n`);
    process.exitCode = error.exitCode;
  } else {
    const panic = error instanceof PanicError ? 'panic' : 'panic: unexpected error';
    process.stderr.write(
      `postfleet: ${panic}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = EX.SOFTWARE;
  }
  // Whatever still holds the event loop belongs to what failed.
  setTimeout(() => process.exit(), 1000).unref();
}
