/**
 * The only reader of the process's environment. MAIL_CONFIG names the directory of main.cf and master.cf; every
 * `POSTFLEET_…` variable sets the own parameter of that name in small letters, over main.cf and under `-o`, so that
 * addresses and secrets of a pod need not stand in a file.
 * @see postconf(1) ENVIRONMENT
 */
import { ownParameters } from './parameters.ts';

export interface Environment {
  /** MAIL_CONFIG, or the built-in directory. */
  readonly configDirectory: string;
  /** Values for own parameters. */
  readonly parameters: ReadonlyMap<string, string>;
}

export const defaultConfigDirectory = '/etc/postfix';

/** Reads the environment given, by default that of the process. Variables that name no parameter are left alone. */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Environment {
  const parameters = new Map<string, string>();
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || !name.startsWith('POSTFLEET_')) continue;
    const parameter = name.toLowerCase();
    if (ownParameters.has(parameter)) parameters.set(parameter, value);
  }
  const directory = variables.MAIL_CONFIG;
  return {
    configDirectory: directory === undefined || directory === '' ? defaultConfigDirectory : directory,
    parameters,
  };
}

/** The variables that export_environment lists, for commands of others: names, and `name=value` that set one. */
export function exportedEnvironment(
  list: readonly string[],
  variables: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const exported: Record<string, string> = {};
  for (const item of list) {
    const equals = item.indexOf('=');
    const name = equals < 0 ? item : item.slice(0, equals);
    const value = equals < 0 ? variables[name] : item.slice(equals + 1);
    if (value !== undefined) exported[name] = value;
  }
  return exported;
}
