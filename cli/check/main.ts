/**
 * postfleet check: says everything that is wrong or remarkable in main.cf and master.cf, on standard error, one line
 * each, before a start or a reload would find it. Reads the directory given with -c or --config, else that of MAIL_CONFIG.
 *
 * Also says where another user of the machine could read secrets of the instance (--var, else POSTFLEET_VAR) or change its
 * configuration.
 *
 * With -f it reads MailServers from a file, or from standard input ("-"), and says what the API server or the operator would
 * refuse of them.
 *
 * Ends with 78 (EX_CONFIG) where services would not start with this configuration, or a MailServer would be refused.
 * @see postfix(1)
 */
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { checkConfiguration } from '../../lib/config/check.ts';
import { readEnvironment } from '../../lib/config/environment.ts';
import { EX } from '../../lib/util/errors.ts';
import { configurationProblems, stateProblems } from './state.ts';

export interface CommandStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stderr: { write(text: string): unknown };
  readonly environment: NodeJS.ProcessEnv;
}

const usage = 'usage: postfleet check [-c config_dir] [--var state_dir] | postfleet check -f mailserver.yaml';

const STANDARD_INPUT = '-';

interface Options {
  readonly config?: string;
  readonly var?: string;
  readonly filename?: string;
}

function commandOptions(argv: readonly string[]): Options {
  const options = {
    config: { type: 'string', short: 'c' },
    var: { type: 'string' },
    filename: { type: 'string', short: 'f' },
  } as const;
  const { values } = parseArgs({ args: [...argv], options, strict: true });
  if (values.filename !== undefined && (values.config ?? values.var) !== undefined) {
    throw new Error('-f stands alone');
  }
  return values;
}

/** Runs the command; the result is its exit status. */
export async function main(argv: readonly string[], io: CommandStreams): Promise<number> {
  const say = (text: string): void => void io.stderr.write(`postfleet/check: ${text}\n`);
  const { configDirectory, parameters } = readEnvironment(io.environment);
  let directory: string;
  let stateDirectory: string | undefined;
  try {
    const given = commandOptions(argv);
    if (given.filename !== undefined) return await checkFile(given.filename, io, say);
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

/** MailServers of a file. The library for YAML is loaded only here. */
async function checkFile(name: string, io: CommandStreams, say: (text: string) => void): Promise<number> {
  const { checkManifest } = await import('./mail-server.ts');
  let text: string;
  try {
    text = name === STANDARD_INPUT ? (await buffer(io.stdin)).toString() : readFileSync(name, 'utf8');
  } catch (error) {
    say(`fatal: ${(error as Error).message}`);
    return EX.NOINPUT;
  }
  const problems = checkManifest(name === STANDARD_INPUT ? 'standard input' : name, text);
  for (const problem of problems)
    say(problem.severity === 'notice' ? problem.text : `${problem.severity}: ${problem.text}`);
  return problems.some(({ severity }) => severity === 'error') ? EX.CONFIG : EX.OK;
}
