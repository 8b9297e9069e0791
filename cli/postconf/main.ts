/**
 * postconf: shows and edits main.cf and master.cf, and says which names in them mean nothing.
 *
 * With -v it also says, on standard error, which services read each parameter shown, or why it has no effect here.
 *
 * Reads main.cf and master.cf of the directory given with -c, else of MAIL_CONFIG. Edits replace a file as a whole.
 * Ends with 1 after an error, which it writes to standard error as `postconf: fatal: …`.
 * @synopsis postconf [-c config_dir] [option …] [name[=value] …]
 * @synopsis postconf [-c config_dir] -M | -F | -P [option …] [service[/type[/…]][=value] …]
 * @see postconf(1)
 */
import { moreAboutDeprecation } from '../../lib/config/deprecated.ts';
import { readEnvironment } from '../../lib/config/environment.ts';
import { type MasterEntry, MasterFieldCountError, MasterFieldError } from '../../lib/config/master-cf.ts';
import { serviceParameters } from '../../lib/config/service-parameters.ts';
import { Configuration, ExpansionError } from '../../lib/config/settings.ts';
import { type NameReport, nameUse } from '../../lib/config/unused.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { editFile } from './edit-file.ts';
import { editMainText, parseMainEdits } from './edit-main.ts';
import { editMasterText, parseMasterEdits } from './edit-master.ts';
import { listing, UnknownTlsModeError } from './listings.ts';
import { type ShownSettings, showMainSettings } from './main-settings.ts';
import { type Shown, showEntries, showFields, showParameters } from './master-entries.ts';
import { type Options, parseOptions, UsageError } from './options.ts';
import { readMasterEntries } from './read-master.ts';

export interface CommandStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly environment: NodeJS.ProcessEnv;
}

/** Where lines go. */
interface Output {
  readonly line: (text: string) => void;
  readonly warn: (text: string) => void;
  readonly tell: (text: string) => void;
}

/** Runs the command; the result is its exit status. */
export async function main(argv: readonly string[], io: CommandStreams): Promise<number> {
  const output: Output = {
    line: (text) => void io.stdout.write(`${text}\n`),
    warn: (text) => void io.stderr.write(`postconf: warning: ${text}\n`),
    tell: (text) => void io.stderr.write(`postconf: ${text}\n`),
  };
  try {
    await run(parseOptions(argv), io.environment, output);
    return 0;
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    for (const line of linesAbout(error)) output.tell(line);
    return 1;
  }
}

/** What is said of an error that ends the command. Places are left out where Postfix has none. */
function linesAbout(error: FatalError): string[] {
  if (error instanceof UnknownTlsModeError) return [`warning: ${error.message}`];
  if (error instanceof UsageError) return [error.problem, `fatal: ${error.message}`];
  if (error instanceof ExpansionError)
    return [...error.problems.map((problem) => `warning: ${problem}`), 'fatal: macro processing error'];
  const short = error instanceof MasterFieldError || error instanceof MasterFieldCountError;
  return [`fatal: ${short ? error.problem : error.message}`];
}

async function run(options: Options, variables: NodeJS.ProcessEnv, output: Output): Promise<void> {
  const directory = options.configDirectory ?? readEnvironment(variables).configDirectory;
  if (options.listing !== undefined) {
    for (const line of await listing(options, directory, output.warn)) output.line(line);
  } else if (options.action !== 'show') edit(options, directory, output);
  else if (options.defaults) showDefaults(options, directory, output);
  else show(options, directory, readEnvironment(variables).parameters, output);
}

function edit(options: Options, directory: string, { warn }: Output): void {
  if (options.operands.length === 0)
    throw new FatalError(options.action === 'edit' ? '-e requires name=value argument' : 'missing service argument');
  if (options.subject === 'main') {
    const path = `${directory}/main.cf`;
    const edits = parseMainEdits(options.action, options.operands, warn);
    editFile(path, (text) => editMainText(text, options.action, edits, path, warn));
    return;
  }
  const requests = parseMasterEdits(options);
  editFile(`${directory}/master.cf`, (text) => editMasterText(text, requests, warn));
}

/** Built-in defaults, and those of the services in master.cf. main.cf is not read. */
function showDefaults(options: Options, directory: string, output: Output): void {
  const configuration = Configuration.fromText('', { program: 'postconf' });
  const ofServices = options.classes.has('service')
    ? serviceParameters(readMasterEntries(`${directory}/master.cf`, output.warn))
    : new Map();
  printSettings(showMainSettings(configuration, { ofServices, userDefined: new Set() }, options), options, output);
}

function printSettings({ answers, remarks }: ShownSettings, options: Options, output: Output): void {
  for (const answer of answers) {
    if (typeof answer === 'string') output.line(answer);
    else output.warn(`${answer.unknown}: unknown parameter`);
  }
  if (options.verbose) for (const remark of remarks) output.tell(remark);
}

function show(options: Options, directory: string, environment: ReadonlyMap<string, string>, output: Output): void {
  const masterPath = `${directory}/master.cf`;
  const entries = readMasterEntries(masterPath, output.warn);
  const configuration = Configuration.load(directory, {
    overrides: options.overrides,
    environment,
    program: 'postconf',
    master: entries,
  });
  for (const warning of configuration.warnings) output.warn(warning);
  // The first value that cannot be expanded ends the command, when all names were searched.
  let malformed: ExpansionError | undefined;
  const names = nameUse({
    main: new Map(
      [...configuration.names(), ...options.overrides.keys()].map((name) => [name, configuration.raw(name) ?? '']),
    ),
    mainPath: `${directory}/main.cf`,
    master: entries,
    masterPath,
    expanded: (name, value, entry) =>
      configuration.expandedOrAsIs(name, value, entry, (error) => {
        malformed ??= error;
      }),
    withSyntaxErrors: true,
  });
  for (const report of [names.masterCf, names.mainCf]) report.wrong.forEach(output.warn);
  if (malformed !== undefined) throw malformed;
  const reports = options.subject === 'main' ? [names.mainCf, names.masterCf] : [names.masterCf];
  if (options.subject === 'main') {
    const ofServices = serviceParameters(entries);
    const { userDefined } = names;
    printSettings(showMainSettings(configuration, { ofServices, userDefined }, options), options, output);
  } else {
    const { lines, unmatched } = showMaster(entries, configuration, options);
    for (const line of lines) output.line(line);
    for (const request of unmatched) output.warn(`unmatched request: "${request}"`);
  }
  warnOfNames(reports, output);
}

function showMaster(entries: readonly MasterEntry[], configuration: Configuration, options: Options): Shown {
  if (options.subject === 'entries') return showEntries(entries, configuration, options);
  if (options.subject === 'fields') return showFields(entries, configuration, options);
  return showParameters(entries, configuration, options);
}

function warnOfNames(reports: readonly NameReport[], { warn }: Output): void {
  for (const { unused } of reports) unused.forEach(warn);
  const deprecated = reports.flatMap((report) => report.deprecated);
  deprecated.forEach(warn);
  if (deprecated.length > 0) warn(moreAboutDeprecation);
}
