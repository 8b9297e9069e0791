/**
 * postfleet check: says everything that is wrong or remarkable in main.cf and master.cf, on standard error, one line
 * each, before a start or a reload would find it. Reads the directory given with -c or --config, else that of MAIL_CONFIG.
 *
 * Also says where another user of the machine could read secrets of the instance (--var, else POSTFLEET_VAR) or change its
 * configuration.
 *
 * Ends with 78 (EX_CONFIG) where services would not start with this configuration.
 * @see postfix(1)
 */
import { parseArgs } from 'node:util';
import { checkConfiguration } from '../../lib/config/check.ts';
import { readEnvironment } from '../../lib/config/environment.ts';
import { EX } from '../../lib/util/errors.ts';
import { configurationProblems, stateProblems } from './state.ts';

export interface CommandStreams {
  readonly stderr: { write(text: string): unknown };
  readonly environment: NodeJS.ProcessEnv;
}

const usage = 'usage: postfleet check [-c config_dir] [--var state_dir]';

function directoryOptions(argv: readonly string[]): { config?: string; var?: string } {
  const options = { config: { type: 'string', short: 'c' }, var: { type: 'string' } } as const;
  return parseArgs({ args: [...argv], options, strict: true }).values;
}

/** Runs the command; the result is its exit status. */
export async function main(argv: readonly string[], io: CommandStreams): Promise<number> {
  const say = (text: string): void => void io.stderr.write(`postfleet/check: ${text}\n`);
  const { configDirectory, parameters } = readEnvironment(io.environment);
  let directory: string;
  let stateDirectory: string | undefined;
  try {
    const given = directoryOptions(argv);
    directory = given.config ?? configDirectory;
    stateDirectory = given.var ?? io.environment.POSTFLEET_VAR;
  } catch (error) {
    say(`fatal: ${(error as Error).message}; ${usage}`);
    return EX.USAGE;
  }
  const { errors, warnings, notices } = checkConfiguration(directory, { environment: parameters });
  for (const error of errors) say(`error: ${error}`);
  const permissions = [
    ...configurationProblems(directory),
    ...(stateDirectory === undefined ? [] : stateProblems(stateDirectory)),
  ];
  for (const warning of [...warnings, ...permissions]) say(`warning: ${warning}`);
  for (const notice of notices) say(notice);
  return errors.length === 0 ? EX.OK : EX.CONFIG;
}
