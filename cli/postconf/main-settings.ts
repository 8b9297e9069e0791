/**
 * Shows parameters of main.cf: all, those that are set (-n), those named, defaults (-d), expanded or not (-x).
 */
import { isLegacyName } from '../../lib/config/deprecated.ts';
import { type Parameter, parameters, transportFallback } from '../../lib/config/parameters.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { readOnlyNames } from '../../lib/config/unused.ts';
import type { Options, ParameterClass } from './options.ts';
import { formatSetting } from './print.ts';

export interface ShownNames {
  /** Names and defaults of parameters that services bring with them. */
  readonly ofServices: ReadonlyMap<string, string>;
  /** Names that main.cf defines and uses. */
  readonly userDefined: ReadonlySet<string>;
}

function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function classOf(name: string, names: ShownNames): ParameterClass | undefined {
  if (names.ofServices.has(name)) return 'service';
  if (parameters.has(name) || isLegacyName(name)) return 'builtin';
  return names.userDefined.has(name) ? 'user' : undefined;
}

export interface ShownSettings {
  /** What was asked for, in that order: a line to print, or a name that means nothing. */
  readonly answers: (string | { readonly unknown: string })[];
  /** Who reads each parameter shown, or why nothing does. */
  readonly remarks: string[];
}

function remarkOn(name: string): string[] {
  const parameter = parameters.get(name) ?? transportFallback(name);
  if (parameter === undefined) return [];
  const { here, usedBy } = parameter;
  return [here === '' ? `${name} is read by ${usedBy.join(', ')}` : `${name} has no effect here: ${here}`];
}

/** Chooses and formats the parameters asked for. */
export function showMainSettings(configuration: Configuration, names: ShownNames, options: Options): ShownSettings {
  const wanted =
    options.operands.length > 0
      ? options.operands
      : [
          ...new Set([
            ...parameters.keys(),
            ...names.ofServices.keys(),
            ...configuration.names(),
            ...names.userDefined,
          ]),
        ].sort(compareNames);
  const answers: ShownSettings['answers'] = [];
  const remarks: string[] = [];
  for (const name of wanted) {
    const parameterClass = classOf(name, names);
    const setAtAll = settingOf(name, configuration) !== undefined || name === 'config_directory';
    if (parameterClass === undefined || (options.defaults && parameterClass === 'user')) {
      if (options.operands.length > 0) answers.push({ unknown: name });
      continue;
    }
    // A name that was asked for is shown whatever its class.
    if (options.operands.length === 0 && !options.classes.has(parameterClass)) continue;
    if (options.onlySet && !setAtAll) continue;
    // Legacy names have no default; they are shown where they are set.
    if (!setAtAll && !parameters.has(name) && parameterClass === 'builtin') continue;
    answers.push(formatSetting(name, shownValue(name, configuration, names, options), options));
    remarks.push(...remarkOn(name));
  }
  return { answers, remarks };
}

/** What main.cf, the environment or the command line sets; what each process sets for itself, they cannot. */
function settingOf(name: string, configuration: Configuration): string | undefined {
  return readOnlyNames.has(name) ? undefined : configuration.raw(name);
}

function shownValue(name: string, configuration: Configuration, names: ShownNames, options: Options): string {
  const parameter: Parameter | undefined = parameters.get(name);
  const set = options.defaults ? undefined : settingOf(name, configuration);
  const value = set ?? configuration.defaultOf(name) ?? names.ofServices.get(name) ?? '';
  return options.expand && parameter?.type !== 'raw' ? configuration.expand(value, name) : value;
}
