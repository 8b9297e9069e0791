/**
 * postfleet status, reload, stop and abort: what postfix(1) does with a running mail system.
 *
 *   status   says whether it runs: exit status 0 or 1
 *   reload   has it read main.cf and master.cf again; where they have errors, says them, and the instance keeps what it has
 *   stop     ends it in order: sessions and deliveries finish, or are cut when the grace period is over
 *   abort    ends it at once
 *
 * The instance is found by its state directory: --var, else POSTFLEET_VAR. Exit status 1 where none runs, 64 for a wrong
 * command line, 71 where it does not end, 77 where it belongs to somebody else, 78 for errors in the configuration.
 * @see postfix(1)
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Announcement, isRunning, readAnnouncement } from '../../lib/command/running-instance.ts';
import { checkConfiguration } from '../../lib/config/check.ts';
import { EX } from '../../lib/util/errors.ts';

export interface CommandStreams {
  readonly stderr: { write(text: string): unknown };
  readonly environment: NodeJS.ProcessEnv;
}

type Say = (text: string) => void;
type Action = (instance: Announcement, say: Say) => number | Promise<number>;

const NOT_RUNNING = 1;
/** Milliseconds to wait for the end: its services have some seconds to drain, one after the other. */
const END_LIMIT = 120_000;
const POLL = 50;

function command(name: string, action: Action): (argv: readonly string[], io: CommandStreams) => Promise<number> {
  return async (argv, io) => {
    const say: Say = (text) => void io.stderr.write(`postfleet: ${text}\n`);
    let stateDirectory: string;
    try {
      const options = { var: { type: 'string' } } as const;
      stateDirectory = parseArgs({ args: [...argv], options }).values.var ?? io.environment.POSTFLEET_VAR ?? 'var';
    } catch (error) {
      say(`fatal: ${(error as Error).message}; usage: postfleet ${name} [--var DIR]`);
      return EX.USAGE;
    }
    const instance = readAnnouncement(stateDirectory);
    if (instance === undefined || !isRunning(instance)) {
      say(`${name === 'status' ? '' : 'fatal: '}the Postfleet mail system is not running`);
      return NOT_RUNNING;
    }
    try {
      return await action(instance, say);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ESRCH') {
        say('fatal: the Postfleet mail system has just ended');
        return NOT_RUNNING;
      }
      if (code !== 'EPERM') throw error;
      say(`fatal: process ${instance.pid} belongs to another user`);
      return EX.NOPERM;
    }
  };
}

async function ended(instance: Announcement, say: Say): Promise<number> {
  for (const deadline = Date.now() + END_LIMIT; isRunning(instance); await delay(POLL)) {
    if (Date.now() < deadline) continue;
    say(`fatal: process ${instance.pid} does not end`);
    return EX.OSERR;
  }
  return EX.OK;
}

export const status = command('status', ({ pid }, say) => {
  say(`the Postfleet mail system is running: PID: ${pid}`);
  return EX.OK;
});

export const reload = command('reload', ({ pid, configDirectory, parameters }, say) => {
  const { errors, warnings } = checkConfiguration(configDirectory, {
    environment: new Map(Object.entries(parameters)),
  });
  for (const error of errors) say(`error: ${error}`);
  for (const warning of warnings) say(`warning: ${warning}`);
  // The instance is told in any case: its log is where others look for the reason.
  process.kill(pid, 'SIGHUP');
  if (errors.length > 0) {
    say('fatal: the configuration has errors; the one before stays in force');
    return EX.CONFIG;
  }
  say('refreshing the Postfleet mail system');
  return EX.OK;
});

export const stop = command('stop', (instance, say) => {
  say('stopping the Postfleet mail system');
  process.kill(instance.pid, 'SIGTERM');
  return ended(instance, say);
});

export const abort = command('abort', (instance, say) => {
  say('aborting the Postfleet mail system');
  process.kill(instance.pid, 'SIGQUIT');
  return ended(instance, say);
});
