#!/usr/bin/env node
/**
 * postfleet: starts an instance, one service of it, or one of the commands.
 *
 *   postfleet start [--processes] [--var DIR] [--port N] [--config DIR]
 *   postfleet <daemon> [--service NAME/TYPE] [--config DIR]
 *   postfleet migrate [--config DIR]
 *   postfleet <command> …       (postqueue, postconf, sendmail … also under their own names)
 *
 * Exit statuses are those of sysexits(3). What keeps it from going on is one line on standard error.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, delimiter, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readEnvironment } from '../lib/config/environment.ts';
import { Configuration } from '../lib/config/settings.ts';
import { EX, FatalError, PanicError } from '../lib/util/errors.ts';
import { flushLog } from '../lib/util/log.ts';
import { Instance } from '../services/master/instance.ts';
import { prepareStores, type Running, startMaster } from '../services/master/main.ts';
import { COMMANDS } from './commands.ts';
import { runService } from './run-service.ts';
import { SERVICES } from './services.ts';

const USAGE = `usage: postfleet start [--processes] [--var DIR] [--port N] [--config DIR]
       postfleet DAEMON [--service NAME/TYPE] [--config DIR]
       postfleet migrate [--config DIR]
       postfleet COMMAND [ARGUMENT …]

daemons:  ${[...SERVICES.keys()].join(' ')}
commands: ${[...COMMANDS.keys()].join(' ')}
`;

const DEFAULT_PORT = 2525;
/** This file as it is run: .ts from the sources, .js from dist/. */
const SELF = import.meta.filename;
const EXTENSION = SELF.endsWith('.ts') ? 'ts' : 'js';
const ROOT = resolve(import.meta.dirname, EXTENSION === 'ts' ? '..' : '../..');

/** SIGTERM and SIGINT end in order; a second one ends at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) {
        flushLog();
        process.kill(process.pid, 'SIGKILL');
      }
      controller.abort();
    });
  }
  return controller.signal;
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
        service: { type: 'string' },
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

/** What a person wants to know first. Not part of the log: it goes to standard error where that is a terminal or not. */
function welcome(running: Running, instance: Instance, configDirectory: string): string {
  const withoutPassword = (url: string): string => url.replace(/\/\/[^@/]*@/, '//');
  const port = running.smtp[0]?.split(':').at(-1) ?? '';
  return `
Postfleet is up.
  SMTP       ${running.smtp.join(', ')}
  health     http://${running.http}/readyz   metrics  http://${running.http}/metrics
  NATS       ${withoutPassword(running.natsUrl)}   durability: ${running.durability}
  Postgres   ${withoutPassword(running.postgresUrl)}
  settings   ${configDirectory}   state  ${instance.directory}

A first message:
  printf 'Subject: hello\\n\\nIt works.\\n' | bin/postfleet sendmail -f you@example.org "$USER"
  swaks --server 127.0.0.1:${port} --from you@example.org --to "$USER@localhost"
See the queue with bin/postfleet mailq, mailboxes in ${join(instance.directory, 'mail')}. Ctrl-C drains and stops.

`;
}

async function start(argv: string[]): Promise<number> {
  const values = options(argv);
  const configDirectory = resolve(values.config ?? process.env.MAIL_CONFIG ?? join(ROOT, 'etc/postfleet'));
  const instance = new Instance(values.var, portNumber(values.port));
  const stop = stopSignal();
  const running = await startMaster({
    configDirectory,
    instance,
    environment: readEnvironment().parameters,
    searchPath: [join(ROOT, '.tools/bin'), process.env.PATH ?? ''].join(delimiter),
    services: SERVICES,
    threadFile: new URL(`./session-thread.${EXTENSION}`, import.meta.url),
    shape: values.processes ? 'many' : 'one',
    serviceCommand: [process.execPath, ...process.execArgv, SELF],
  });
  flushLog();
  process.stderr.write(welcome(running, instance, configDirectory));
  try {
    await Promise.race([
      running.failed,
      new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true })),
    ]);
  } finally {
    await running[Symbol.asyncDispose]();
  }
  return EX.OK;
}

async function runDaemon(command: string, argv: string[]): Promise<number> {
  const values = options(argv);
  const environment = readEnvironment();
  const configDirectory = resolve(values.config ?? environment.configDirectory);
  await runService({
    command,
    entry: values.service,
    configDirectory,
    environment: environment.parameters,
    stop: stopSignal(),
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
  const path = join(process.env.POSTFLEET_VAR ?? join(ROOT, 'var'), 'run', 'instance.json');
  if (!existsSync(path)) return process.env;
  const { configDirectory, parameters } = JSON.parse(readFileSync(path, 'utf8')) as {
    configDirectory: string;
    parameters: Record<string, string>;
  };
  const found = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name.toUpperCase(), value]));
  return { MAIL_CONFIG: configDirectory, ...found, ...process.env };
}

async function main(): Promise<number> {
  const called = basename(process.argv[1] ?? '').replace(/\.[jt]s$/, '');
  const [name = '', ...argv] = COMMANDS.has(called) ? [called, ...process.argv.slice(2)] : process.argv.slice(2);
  const command = COMMANDS.get(name);
  if (command !== undefined) {
    const { stdin, stdout, stderr } = process;
    return (await command())(argv, { stdin, stdout, stderr, environment: commandEnvironment() });
  }
  if (name === 'start') return start(argv);
  if (name === 'migrate') return migrateStores(argv);
  if (SERVICES.has(name)) return runDaemon(name, argv);
  (name === '--help' || name === '-h' ? process.stdout : process.stderr).write(USAGE);
  return name === '--help' || name === '-h' ? EX.OK : EX.USAGE;
}

try {
  process.exitCode = await main();
  flushLog();
} catch (error) {
  flushLog();
  if (error instanceof FatalError) {
    process.stderr.write(`postfleet: fatal: ${error.message}\n`);
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
