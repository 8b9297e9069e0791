/**
 * Everything that is wrong or remarkable in a MailServer, for `postfleet check -f`, and for the operator before anything of
 * it comes into force: the schema with its rules, main.cf and master.cf as services will read them, the services, the tables,
 * and whether it would be an open relay. Pure: what lies outside the resource is passed in.
 *
 * A problem names a field of the resource, and for main.cf and master.cf also file and line of what is made of it.
 */
import { reportOn } from '../config/check.ts';
import type { MasterEntry } from '../config/master-cf.ts';
import { Configuration } from '../config/settings.ts';
import { sourceWarnings } from '../tables/source-check.ts';
import { FatalError } from '../util/errors.ts';
import { type Fleet, type FleetProblem, fleetProcesses, fleetServices } from './fleet.ts';
import { type MainLine, mainLines } from './main-cf.ts';
import { type MasterLine, masterLines } from './master-cf.ts';
import { leadsTo, relayProblems } from './relay-problems.ts';
import { API_VERSION, KIND, type MailServerSpec, mailServerSchema } from './schema.ts';
import { expectedFormat, tablesIn } from './table-use.ts';

/** Where pods find main.cf, master.cf and the tables: where a main.cf of Postfix says that they are. */
export const CONFIG_DIRECTORY = '/etc/postfix';
export const MAIL_DIRECTORY = '/var/mail';

export type Problem = FleetProblem;

/** A resource as it was read: nothing is known of its fields yet. */
export interface Resource {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly metadata?: { readonly name?: unknown };
  readonly spec?: unknown;
}

/** What a correct MailServer comes to. */
export interface Checked {
  readonly spec: MailServerSpec;
  readonly fleet: Fleet;
  readonly configuration: Configuration;
  readonly mainCf: string;
  readonly masterCf: string;
}

export interface CheckOptions {
  /** Addresses and networks of nodes and pods; the private ones where they are not known. */
  readonly clusterNetworks?: readonly string[];
}

export interface CheckResult {
  readonly problems: readonly Problem[];
  /** Undefined where a problem is an error. */
  readonly checked: Checked | undefined;
}

export function checkMailServer(resource: Resource, options: CheckOptions = {}): CheckResult {
  const { spec, problems } = readSpec(resource);
  if (spec === undefined) return { problems, checked: undefined };
  const files = compileFiles(spec);
  problems.push(...files.problems);
  if (files.configuration === undefined) return { problems, checked: undefined };
  try {
    return checkFleet(spec, files.configuration, files, options);
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    // A wrong value that others refer to has been named where it is set.
    if (isCorrect(problems)) problems.push(files.place.problem('error', error.message));
    return { problems, checked: undefined };
  }
}

const isCorrect = (problems: readonly Problem[]): boolean => problems.every(({ severity }) => severity !== 'error');

function checkFleet(
  spec: MailServerSpec,
  configuration: Configuration,
  { problems: before, place, mainCf, masterCf }: Files,
  options: CheckOptions,
): CheckResult {
  const { services, problems: wrongEntries } = fleetServices(configuration.master, (entry) => place.entry(entry));
  const { processes, problems: wrongPlaces } = fleetProcesses(services, spec);
  const problems = [
    ...before,
    ...wrongEntries,
    ...wrongPlaces,
    ...tableProblems(spec, configuration),
    ...ingressProblems(spec, configuration),
    ...relayProblems(spec, configuration, (entry) => place.entry(entry), options.clusterNetworks),
    ...storageProblems(spec, configuration),
  ];
  const fleet = { services, processes };
  return { problems, checked: isCorrect(problems) ? { spec, fleet, configuration, mainCf, masterCf } : undefined };
}

function readSpec(resource: Resource): { spec: MailServerSpec | undefined; problems: Problem[] } {
  if (resource.apiVersion !== API_VERSION || resource.kind !== KIND) {
    const text = `expected apiVersion ${API_VERSION} and kind ${KIND}, found ${String(resource.apiVersion)} and ${String(resource.kind)}`;
    return { spec: undefined, problems: [{ severity: 'error', field: 'kind', text }] };
  }
  const read = mailServerSchema.safeParse(resource);
  if (read.success) return { spec: read.data.spec, problems: [] };
  const problems = read.error.issues.map((issue): Problem => {
    const field = fieldOf(issue.path);
    return { severity: 'error', field: field === '' ? 'metadata.name' : field, text: issue.message };
  });
  return { spec: undefined, problems };
}

function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}${text === '' ? '' : '.'}${String(part)}`),
    '',
  );
}

/** What a service said of main.cf or master.cf, as an error of the field that the line comes from. */
export function refusal(spec: MailServerSpec, message: string): Problem {
  return new Places(mainLines(spec), masterLines(spec).lines).problem('error', message);
}

interface Files {
  readonly problems: Problem[];
  readonly configuration: Configuration | undefined;
  readonly mainCf: string;
  readonly masterCf: string;
  readonly place: Places;
}

/** Which field a line of the files comes from. */
class Places {
  readonly #main: readonly MainLine[];
  readonly #master: readonly MasterLine[];

  constructor(main: readonly MainLine[], master: readonly MasterLine[]) {
    this.#main = main;
    this.#master = master;
  }

  entry({ line, name, type }: MasterEntry): string {
    return this.#master[line - 1]?.field ?? `built-in master.cf (${name}/${type})`;
  }

  /** A message of the readers of main.cf and master.cf, with the field in front. */
  problem(severity: Problem['severity'], message: string): Problem {
    const text = message.replaceAll(`${CONFIG_DIRECTORY}/`, '');
    const place = /\b(main|master)\.cf(?:, |: )line (\d+)/.exec(text);
    if (place === null) return { severity, field: this.#named(text) ?? 'spec.mainCf', text };
    const [, file, line] = place;
    const lines = file === 'main' ? this.#main : this.#master;
    return { severity, field: lines[Number(line) - 1]?.field ?? this.#named(text) ?? `spec.${file}Cf`, text };
  }

  /** Some messages name a parameter in place of a line: "unused parameter: name=value". */
  #named(text: string): string | undefined {
    return this.#main.find(
      ({ name, field }) => field !== undefined && new RegExp(`(?:^|[\\s"])${name}(?:$|[\\s=":])`).test(text),
    )?.field;
  }
}

function compileFiles(spec: MailServerSpec): Files {
  const main = mainLines(spec);
  const { lines: master, problems: wrongEntries } = masterLines(spec);
  const mainCf = `${main.map(({ text }) => text).join('\n')}\n`;
  const masterCf = `${master.map(({ text }) => text).join('\n')}\n`;
  const place = new Places(main, master);
  const problems: Problem[] = wrongEntries.map((text) => {
    const [field = '', ...rest] = text.split(': ');
    return { severity: 'error', field, text: rest.join(': ') };
  });
  for (const { name, field } of main)
    if (!/^[A-Za-z0-9_-]{1,200}$/.test(name))
      problems.push({ severity: 'error', field: field ?? 'spec.mainCf', text: `"${name}": expected a parameter name` });
  const files = { mainCf, masterCf, place };
  if (problems.length > 0) return { ...files, problems, configuration: undefined };
  try {
    const host = { name: spec.mainCf.myhostname ?? '', addresses: [] };
    const configuration = Configuration.fromTexts({ mainCf, masterCf }, CONFIG_DIRECTORY, {
      environment: new Map(),
      host,
    });
    const { errors, warnings, refusals, notices } = reportOn(configuration);
    // smtpd would start with such a list and refuse every client: here the configuration before stays in force.
    problems.push(
      ...[...errors, ...refusals].map((text) => place.problem('error', text)),
      ...warnings.filter((text) => !refusals.includes(text)).map((text) => place.problem('warning', text)),
      ...notices.map((text) => place.problem('notice', text)),
    );
    return { ...files, problems, configuration };
  } catch (error) {
    if (!(error instanceof FatalError)) throw error;
    problems.push(place.problem('error', error.message));
    return { ...files, problems, configuration: undefined };
  }
}

/** Tables that main.cf reads and spec.tables lacks, or has in another format. */
function tableProblems(spec: MailServerSpec, configuration: Configuration): Problem[] {
  const problems: Problem[] = [];
  const tables = spec.tables ?? {};
  /** By which types a file is read. */
  const readAs = new Map<string, Set<string>>();
  for (const name of Object.keys(tables)) {
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}$/.test(name) || name === 'main.cf' || name === 'master.cf')
      problems.push({
        severity: 'error',
        field: `spec.tables.${name}`,
        text: 'expected a file name of letters, digits, ".", "_" and "-"',
      });
  }
  const values = [
    ...configuration
      .names()
      .map((name) => [`spec.mainCf.${name}`, configuration.raw(name) ?? '', configuration] as const),
    ...configuration.master.flatMap((entry) =>
      [...entry.overrides].map(
        ([name, value]) =>
          [`master.cf ${entry.name}/${entry.type} -o ${name}`, value, configuration.ofEntry(entry)] as const,
      ),
    ),
  ];
  for (const [field, raw, settings] of values) {
    const value = expanded(settings, raw);
    const { files, unknown } = tablesIn(value, CONFIG_DIRECTORY);
    for (const { type, name } of unknown)
      problems.push({
        severity: 'error',
        field,
        text: `${type}:${CONFIG_DIRECTORY}/${name}: unsupported dictionary type: ${type}`,
      });
    for (const { type, name } of files) {
      const format = tables[name]?.format;
      if (format === 'file') readAs.set(name, (readAs.get(name) ?? new Set()).add(type));
      if (format === undefined)
        problems.push({
          severity: 'error',
          field,
          text: `${type}:${CONFIG_DIRECTORY}/${name}: there is no spec.tables.${name}`,
        });
      else if ((format === 'file') !== (expectedFormat(type) === 'file'))
        problems.push({
          severity: 'error',
          field: `spec.tables.${name}.format`,
          text: `${field.replace('spec.mainCf.', '')} reads it as ${type}: expected ${expectedFormat(type) === 'file' ? 'file' : 'postmap or aliases'}`,
        });
    }
  }
  return [...problems, ...sourceProblems(tables, readAs)];
}

/** Lines that are left out of a table because they are wrong. What ConfigMaps and Secrets hold is met when it is loaded. */
function sourceProblems(
  tables: NonNullable<MailServerSpec['tables']>,
  readAs: ReadonlyMap<string, ReadonlySet<string>>,
): Problem[] {
  return Object.entries(tables).flatMap(([name, { format, inline }]) => {
    if (inline === undefined) return [];
    const kinds = format === 'file' ? [...(readAs.get(name) ?? [])] : [format];
    return kinds
      .flatMap((kind) => sourceWarnings(kind, name, inline))
      .map((text): Problem => ({ severity: 'warning', field: `spec.tables.${name}`, text }));
  });
}

/** A value that cannot be expanded is reported elsewhere. */
function expanded(configuration: Configuration, value: string): string {
  try {
    return configuration.expand(value);
  } catch {
    return value;
  }
}

function ingressProblems(spec: MailServerSpec, configuration: Configuration): Problem[] {
  const entries = configuration.master.filter(({ type }) => type === 'inet').map(({ name }) => name);
  return (spec.ingress.ports ?? [])
    .filter(({ service }) => !entries.some((name) => leadsTo(service, name)))
    .map(({ service, port }) => ({
      severity: 'error',
      field: `spec.ingress.ports[port=${port}].service`,
      text: `"${service}": master.cf has no such inet entry; expected one of ${entries.join(', ')}`,
    }));
}

/** Mailboxes in a container end with it. */
function storageProblems(spec: MailServerSpec, configuration: Configuration): Problem[] {
  if (spec.mailStorage !== undefined) return [];
  const has = (name: string): boolean => configuration.text(name).trim() !== '';
  const local =
    has('mydestination') &&
    configuration.text('mailbox_transport') === '' &&
    configuration.text('local_transport').startsWith('local');
  const virtual = has('virtual_mailbox_domains') && configuration.text('virtual_transport').startsWith('virtual');
  if (!local && !virtual) return [];
  const what = virtual ? 'virtual_mailbox_domains' : 'mydestination';
  return [
    {
      severity: 'warning',
      field: 'spec.mailStorage',
      text: `main.cf delivers to mailboxes (${what}), and there is no storage for them: such mail is deferred; set mailStorage, or a transport such as lmtp`,
    },
  ];
}

/** Environment of every pod that follows from the fleet: values of own parameters. */
export function fleetParameters({ spec }: Pick<Checked, 'spec'>): Map<string, string> {
  return new Map([
    ['postfleet_shards', String(spec.nats.shards)],
    ['postfleet_stream_bytes', String(spec.nats.streamBytes)],
    ['postfleet_nats_monitor_url', spec.nats.monitorUrl ?? ''],
    ['postfleet_weak_durability', spec.durability.allowWeak ? 'yes' : 'no'],
    ...(spec.mainCf.postfleet_mailbox_owner === undefined ? [['postfleet_mailbox_owner', 'self'] as const] : []),
  ]);
}
