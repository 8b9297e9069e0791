/**
 * Everything that is wrong or remarkable in a configuration directory, as lines: for `postfleet check`, for a reload that
 * keeps the old configuration, for the status of a MailServer. Reads main.cf and master.cf; throws nothing for what
 * stands in them.
 */
import { mailboxLimitProblem } from '../delivery/mailbox-limit.ts';
import { CLIENT_TLS_LEVELS } from '../tls/levels.ts';
import { FatalError } from '../util/errors.ts';
import { clientRefusals } from './client-refusals.ts';
import { parameters } from './parameters.ts';
import { Configuration, type LoadOptions } from './settings.ts';
import { nameUse } from './unused.ts';

export interface ConfigurationReport {
  /** What keeps services from starting: file, line, name and what was expected. */
  readonly errors: readonly string[];
  /** Names that are misspelt, unused or going away; settings given twice; wrong values that nobody reads. */
  readonly warnings: readonly string[];
  /** Those warnings for which smtpd would start and then refuse every client. */
  readonly refusals: readonly string[];
  /** Settings that are accepted and have no effect here, with the reason. */
  readonly notices: readonly string[];
}

/** Checks a directory, with the settings of the environment and of the command line that services will have. */
export function checkConfiguration(directory: string, options: LoadOptions = {}): ConfigurationReport {
  try {
    return reportOn(Configuration.load(directory, options));
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    return { errors: [error.message], warnings: [], refusals: [], notices: [] };
  }
}

/** Checks a configuration that was read. */
export function reportOn(configuration: Configuration): ConfigurationReport {
  const { directory, master } = configuration;
  const wrongValues = [
    ...configuration.problems(),
    ...master.flatMap((entry) => configuration.ofEntry(entry).problems([...entry.overrides.keys()])),
  ];
  if (wrongValues.length === 0) wrongValues.push(...wrongChoices(configuration), ...smallMailboxes(configuration));
  const { mainCf, masterCf } = nameUse({
    main: new Map(configuration.names().map((name) => [name, configuration.raw(name) ?? ''])),
    mainPath: `${directory}/main.cf`,
    placeInMain: (name) => configuration.placeOf(name),
    master,
    masterPath: `${directory}/master.cf`,
    placeInMaster: ({ line }) => `${directory}/master.cf, line ${line}`,
    // What cannot be expanded is reported elsewhere.
    expanded: (name, value, entry) => configuration.expandedOrAsIs(name, value, entry),
  });
  const nameWarnings = [mainCf, masterCf].flatMap(({ wrong, unused, deprecated }) => [
    ...wrong,
    ...unused,
    ...deprecated,
  ]);
  const refusals = wrongValues.length === 0 ? clientRefusals(configuration) : [];
  return {
    errors: wrongValues.filter(({ name }) => isRead(name)).map(({ text }) => text),
    warnings: [
      ...configuration.warnings,
      ...nameWarnings,
      ...wrongValues.filter(({ name }) => !isRead(name)).map(({ text }) => text),
      ...refusals,
    ],
    refusals,
    notices: configuration.names().flatMap((name) => {
      const here = parameters.get(name)?.here ?? '';
      return here === '' ? [] : [`${configuration.placeOf(name)}: ${name} has no effect here: ${here}`];
    }),
  };
}

const CHOICES: readonly { readonly name: string; readonly values: readonly string[] }[] = ['smtp', 'lmtp'].map(
  (client) => ({ name: `${client}_tls_security_level`, values: CLIENT_TLS_LEVELS }),
);

/** Values that are none of those which a client of mail starts with. */
function wrongChoices(configuration: Configuration): { readonly name: string; readonly text: string }[] {
  return CHOICES.flatMap(({ name, values }) =>
    [
      configuration,
      ...configuration.master
        .filter(({ overrides }) => overrides.has(name))
        .map((entry) => configuration.ofEntry(entry)),
    ].flatMap((settings) => {
      const value = settings.text(name);
      if (value === '' || values.includes(value)) return [];
      return [{ name, text: settings.withPlace(`${name} = ${value}: expected one of ${values.join(', ')}`) }];
    }),
  );
}

/** Which daemon does not start with mailboxes that are smaller than a message. */
const MAILBOX_LIMITS = new Map([
  ['local', 'mailbox_size_limit'],
  ['virtual', 'virtual_mailbox_limit'],
]);

function smallMailboxes(configuration: Configuration): { readonly name: string; readonly text: string }[] {
  return configuration.master.flatMap((entry) => {
    const name = MAILBOX_LIMITS.get(entry.command);
    if (name === undefined) return [];
    const settings = configuration.ofEntry(entry);
    const message = mailboxLimitProblem(name, settings.integer(name), settings.integer('message_size_limit'));
    if (message === undefined) return [];
    // Where the mailbox has its default, the line that is to be looked at is that of the message.
    const place = settings.located(message) ?? settings.located(`message_size_limit: ${message}`);
    return [{ name, text: place ?? message }];
  });
}

/** A value that nobody reads keeps nobody from starting. */
function isRead(name: string): boolean {
  return parameters.get(name)?.usedBy.length !== 0;
}
