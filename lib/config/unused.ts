/**
 * Which names in main.cf and master.cf mean something: built-in parameters, parameters of services, restriction
 * classes, names that another value refers to, settings of lookup tables. What is left over is probably misspelt, and
 * is reported together with references to names that nobody sets and with names that are going away. Pure.
 * @see postconf(1)
 */
import { databaseParameterNames } from './database-parameters.ts';
import { deprecationOf, isLegacyName, isRemovedName } from './deprecated.ts';
import { namesIn } from './expand.ts';
import { comparisons, functions } from './expressions.ts';
import type { MasterEntry } from './master-cf.ts';
import { parameters } from './parameters.ts';
import { serviceParameters } from './service-parameters.ts';

export interface NameReport {
  /** References to names that are not set, assignments to read-only names, braces that do not match. */
  readonly wrong: readonly string[];
  readonly unused: readonly string[];
  readonly deprecated: readonly string[];
}

export interface NameUse {
  readonly mainCf: NameReport;
  readonly masterCf: NameReport;
  /** Names in main.cf that are neither built in nor a service's, and are used. */
  readonly userDefined: ReadonlySet<string>;
}

interface Files {
  /** Values that main.cf sets, by name. */
  readonly main: ReadonlyMap<string, string>;
  readonly mainPath: string;
  /** Where a setting stands, for messages; the path alone where it is left out. */
  readonly placeInMain?: (name: string) => string;
  readonly master: readonly MasterEntry[];
  readonly masterPath: string;
  readonly placeInMaster?: (entry: MasterEntry) => string;
  /** The value with its references replaced, of main.cf or of an entry; the value itself where it is left out. */
  readonly expanded?: (name: string, value: string, entry?: MasterEntry) => string;
  /** Whether expressions that cannot be read are reported too, without their place. */
  readonly withSyntaxErrors?: boolean;
}

/** Set by each process for itself. */
export const readOnlyNames: ReadonlySet<string> = new Set(['process_id', 'process_name', 'service_name']);

/** The names in the value of smtpd_restriction_classes; braces mean nothing there. */
function classNames(value: string): string[] {
  return value.split(/[\s,]+/).filter((name) => name !== '');
}

/** What a value refers to, and what of it cannot be read. */
function referencesIn(value: string): { readonly references: string[]; readonly problems: string[] } {
  const problems: string[] = [];
  return { references: namesIn(value, { functions, comparisons }, (problem) => problems.push(problem)), problems };
}

function isBuiltIn(name: string): boolean {
  return parameters.has(name) || isLegacyName(name);
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Finds out what every name in both files is for. */
export function nameUse(files: Files): NameUse {
  const { main, mainPath, master, masterPath } = files;
  const inMain = files.placeInMain ?? (() => mainPath);
  const inMaster = files.placeInMaster ?? (() => masterPath);
  const expanded = files.expanded ?? ((_name: string, value: string) => value);
  const ofServices = serviceParameters(master);
  const mainSettings = [...main].sort(byName);
  const isKnown = (name: string): boolean => isBuiltIn(name) || ofServices.has(name);
  const wrongInMain: string[] = [];
  const wrongInMaster: string[] = [];

  const referredByMain = new Set<string>();
  const setByMaster = new Set(master.flatMap(({ overrides }) => [...overrides.keys()]));
  for (const [name, value] of mainSettings) {
    if (readOnlyNames.has(name)) wrongInMain.push(`${inMain(name)}: read-only parameter assignment: ${name}=${value}`);
    const { references, problems } = referencesIn(value);
    if (name === 'smtpd_restriction_classes') references.push(...classNames(expanded(name, value)));
    for (const reference of references) {
      referredByMain.add(reference);
      if (!main.has(reference) && !isKnown(reference) && !setByMaster.has(reference))
        wrongInMain.push(`${inMain(name)}: undefined parameter: ${reference}`);
    }
    if (files.withSyntaxErrors === true) wrongInMain.push(...problems);
  }

  const unusedInMaster: [string, string][] = [];
  const deprecatedInMaster: [string, string][] = [];
  const usedByMaster = new Set<string>();
  for (const entry of master) {
    const { overrides } = entry;
    const local = new Set<string>();
    for (const [name, value] of overrides) {
      if (readOnlyNames.has(name))
        wrongInMaster.push(`${inMaster(entry)}: read-only parameter assignment: ${name}=${value}`);
      const { references, problems } = referencesIn(value);
      const plain = isKnown(name) ? expanded(name, value, entry) : value;
      if (name === 'smtpd_restriction_classes') references.push(...classNames(plain));
      references.push(...databaseParameterNames(plain, () => {}).filter((one) => overrides.has(one) || main.has(one)));
      for (const reference of references) {
        if (overrides.has(reference)) local.add(reference);
        else {
          usedByMaster.add(reference);
          if (!main.has(reference) && !isKnown(reference))
            wrongInMaster.push(`${inMaster(entry)}: undefined parameter: ${reference}`);
        }
      }
      if (files.withSyntaxErrors === true) wrongInMaster.push(...problems);
    }
    for (const [name, value] of overrides) {
      const deprecation = deprecationOf(name);
      if (deprecation !== undefined) deprecatedInMaster.push([name, `${inMaster(entry)}: ${deprecation}`]);
      if (!isKnown(name) && !isRemovedName(name) && !local.has(name) && !referredByMain.has(name))
        unusedInMaster.push([name, `${inMaster(entry)}: unused parameter: ${name}=${value}`]);
    }
  }

  const userDefined = usedNames(
    mainSettings.map(([name, value]) => [name, isKnown(name) ? expanded(name, value) : value]),
    main,
    isKnown,
    new Set([...referredByMain, ...usedByMaster]),
    (text) => wrongInMain.push(`${mainPath}: ${text}`),
  );
  const unusedInMain = mainSettings.filter(
    ([name]) => !isKnown(name) && !userDefined.has(name) && !isRemovedName(name),
  );
  return {
    userDefined,
    mainCf: {
      wrong: wrongInMain,
      unused: unusedInMain.map(([name, value]) => `${inMain(name)}: unused parameter: ${name}=${value}`),
      deprecated: mainSettings.flatMap(([name]) => {
        const deprecation = deprecationOf(name);
        return deprecation === undefined ? [] : [`${inMain(name)}: ${deprecation}`];
      }),
    },
    masterCf: {
      wrong: wrongInMaster,
      unused: unusedInMaster.sort(byName).map(([, warning]) => warning),
      deprecated: deprecatedInMaster.sort(byName).map(([, warning]) => warning),
    },
  };
}

/**
 * User-defined names that are used: those that values refer to, and settings of tables that the values of known or used
 * names open. A table's setting may open another table, hence the search until nothing is added.
 */
function usedNames(
  settings: readonly (readonly [string, string])[],
  main: ReadonlyMap<string, string>,
  isKnown: (name: string) => boolean,
  references: ReadonlySet<string>,
  warn: (text: string) => void,
): Set<string> {
  const used = new Set([...references].filter((name) => main.has(name) && !isKnown(name)));
  const searched = new Set<string>();
  for (let found = true; found; ) {
    found = false;
    for (const [name, value] of settings) {
      if (searched.has(name) || !(isKnown(name) || used.has(name))) continue;
      searched.add(name);
      for (const parameter of databaseParameterNames(value, warn)) {
        if (!main.has(parameter) || isKnown(parameter) || used.has(parameter)) continue;
        used.add(parameter);
        found = true;
      }
    }
  }
  return used;
}
