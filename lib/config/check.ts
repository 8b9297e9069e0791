/**
 * Everything that is wrong or remarkable in a configuration directory, as lines: for `postfleet check`, for a reload that
 * keeps the old configuration, for the status of a MailServer. Reads main.cf and master.cf; throws nothing for what
 * stands in them.
 */
import { FatalError } from '../util/errors.ts';
import { parameters } from './parameters.ts';
import { Configuration, type LoadOptions } from './settings.ts';
import { nameUse } from './unused.ts';

export interface ConfigurationReport {
  /** What keeps services from starting: file, line, name and what was expected. */
  readonly errors: readonly string[];
  /** Names that are misspelt, unused or going away; settings given twice. */
  readonly warnings: readonly string[];
  /** Settings that are accepted and have no effect here, with the reason. */
  readonly notices: readonly string[];
}

/** Checks a directory, with the settings of the environment and of the command line that services will have. */
export function checkConfiguration(directory: string, options: LoadOptions = {}): ConfigurationReport {
  let configuration: Configuration;
  try {
    configuration = Configuration.load(directory, options);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return { errors: [error.message], warnings: [], notices: [] };
  }
  const ofEntries = configuration.master.flatMap((entry) =>
    configuration.ofEntry(entry).check([...entry.overrides.keys()]),
  );
  const { mainCf, masterCf } = nameUse({
    main: new Map(configuration.names().map((name) => [name, configuration.raw(name) ?? ''])),
    mainPath: `${directory}/main.cf`,
    master: configuration.master,
    masterPath: `${directory}/master.cf`,
  });
  const nameWarnings = [mainCf, masterCf].flatMap(({ wrong, unused, deprecated }) => [
    ...wrong,
    ...unused,
    ...deprecated,
  ]);
  return {
    errors: [...configuration.check(), ...ofEntries],
    warnings: [...configuration.warnings, ...nameWarnings],
    notices: configuration.names().flatMap((name) => {
      const here = parameters.get(name)?.here ?? '';
      return here === '' ? [] : [`${directory}/main.cf: ${name} has no effect here: ${here}`];
    }),
  };
}
