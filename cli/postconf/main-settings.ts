/**
 * Shows parameters of main.cf: all, those that are set (-n), those named, defaults (-d), expanded or not (-x).
 */
import { isLegacyName } from '../../lib/config/deprecated.ts';
import { type Parameter, parameters, transportFallback } from '../../lib/config/parameters.ts';
import type { Configuration } from '../../lib/config/settings.ts';
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
  /** Lines to print. */
  readonly lines: string[];
  /** Names asked for that mean nothing. */
  readonly unknown: string[];
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
  const lines: string[] = [];
  const unknown: string[] = [];
  const remarks: string[] = [];
  for (const name of wanted) {
    const parameterClass = classOf(name, names);
    const setAtAll = configuration.raw(name) !== undefined || name === 'config_directory';
    if (parameterClass === undefined || (options.defaults && parameterClass === 'user')) {
      if (options.operands.length > 0) unknown.push(name);
      continue;
    }
    // A name that was asked for is shown whatever its class.
    if (options.operands.length === 0 && !options.classes.has(parameterClass)) continue;
    if (options.onlySet && !setAtAll) continue;
    // Legacy names have no default; they are shown where they are set.
    if (!setAtAll && !parameters.has(name) && parameterClass === 'builtin') continue;
    lines.push(formatSetting(name, shownValue(name, configuration, names, options), options));
    remarks.push(...remarkOn(name));
  }
  return { lines, unknown, remarks };
}

function shownValue(name: string, configuration: Configuration, names: ShownNames, options: Options): string {
  const parameter: Parameter | undefined = parameters.get(name);
  const set = options.defaults ? undefined : configuration.raw(name);
  const value = set ?? configuration.defaultOf(name) ?? names.ofServices.get(name) ?? '';
  return options.expand && parameter?.type !== 'raw' ? configuration.expand(value, name) : value;
}
