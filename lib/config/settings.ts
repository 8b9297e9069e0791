/**
 * The settings of one instance: main.cf over the built-in defaults, with typed readers that expand `$name` and know
 * units and ranges, and the entries of master.cf.
 *
 * Order of precedence: `-o` of a master.cf entry, POSTFLEET_… variables, main.cf, default. A Configuration does not
 * change; a reload reads another one.
 *
 * Throws FatalError with file, line, name and what was expected: at load for a file that cannot be read, when a value
 * is read for one that is wrong. `check()` reads all of them.
 * @see postconf(5), main.cf syntax
 */
import { existsSync } from 'node:fs';
import { FatalError, PanicError } from '../util/errors.ts';
import { splitOutsideBraces, splitParameterList } from '../util/split.ts';
import { parseCompatibilityLevel } from './compatibility-level.ts';
import { readEnvironment } from './environment.ts';
import { expand } from './expand.ts';
import { comparisons, functions } from './expressions.ts';
import {
  defaultMydomain,
  defaultMyhostname,
  defaultMynetworks,
  type Host,
  readHost,
  receivingAddresses,
} from './host.ts';
import { type MainCf, type MainCfEntry, parseMainCf, readMainCf } from './main-cf.ts';
import { effectiveEntries, type MasterEntry, parseMasterCf, readMasterCf } from './master-cf.ts';
import { presentName } from './old-names.ts';
import { type Parameter, parameters, transportFallback } from './parameters.ts';
import { parseBoolean, parseInteger, parseSeconds } from './values.ts';

export { comparisons, functions };

export interface LoadOptions {
  /** Settings over main.cf, as `-o name=value`. */
  readonly overrides?: ReadonlyMap<string, string>;
  /** Values of own parameters from the environment; default: those of this process. */
  readonly environment?: ReadonlyMap<string, string>;
  /** Name and addresses of the host; default: read when needed. */
  readonly host?: Host;
  /** Default of process_name. */
  readonly program?: string;
  /** The entries of master.cf, where the caller has read them. */
  readonly master?: readonly MasterEntry[];
}

interface Source {
  readonly directory: string;
  readonly mainCf: MainCf;
  /** Settings under names of old, by the present name. */
  readonly oldEntries: ReadonlyMap<string, MainCfEntry>;
  readonly master: readonly MasterEntry[];
  readonly warnings: readonly string[];
  readonly environment: ReadonlyMap<string, string>;
  readonly host: () => Host;
  readonly program: string | undefined;
}

/** A setting of `-o`, and where it was given. */
interface Override {
  readonly value: string;
  readonly place: string;
}

const commandLine = '-o';

/** A value that breaks the syntax of expressions, with each problem on its own for those who show no places. */
export class ExpansionError extends FatalError {
  readonly problems: readonly string[];

  constructor(origin: string, problems: readonly string[]) {
    super(`${origin}: ${problems.join('; ') || 'syntax error'}`);
    this.problems = problems;
  }
}

function placed(overrides: ReadonlyMap<string, string>, place: string): Map<string, Override> {
  return new Map([...overrides].map(([name, value]) => [name, { value, place }]));
}

export class Configuration {
  readonly directory: string;
  readonly warnings: readonly string[];
  /** Entries of master.cf that count; empty where there is no master.cf. */
  readonly master: readonly MasterEntry[];
  readonly #source: Source;
  readonly #overrides: ReadonlyMap<string, Override>;
  readonly #texts = new Map<string, string>();

  private constructor(source: Source, overrides: ReadonlyMap<string, Override>) {
    this.directory = source.directory;
    this.warnings = source.warnings;
    this.master = source.master;
    this.#source = source;
    this.#overrides = overrides;
  }

  /** Reads main.cf and master.cf of a directory. */
  static load(directory: string, options: LoadOptions = {}): Configuration {
    const mainCf = readMainCf(`${directory}/main.cf`);
    const masterPath = `${directory}/master.cf`;
    const read = options.master === undefined && existsSync(masterPath);
    const masterCf = read ? readMasterCf(masterPath) : { entries: options.master ?? [], warnings: [] };
    return Configuration.#assemble(directory, mainCf, masterCf, options);
  }

  /** As `load`; the defaults where the directory has no main.cf, for what is of use without any. */
  static loadIfThere(directory: string, options: LoadOptions = {}): Configuration {
    if (existsSync(`${directory}/main.cf`)) return Configuration.load(directory, options);
    const texts = { mainCf: '', masterCf: '' };
    return Configuration.fromTexts(texts, directory, options);
  }

  /** A configuration from the text of a main.cf alone, for tests and for settings that are in no file. */
  static fromText(mainCf: string, options: LoadOptions = {}): Configuration {
    const nothing = { entries: [], warnings: [] };
    return Configuration.#assemble('', parseMainCf(mainCf, 'main.cf'), nothing, {
      environment: new Map(),
      ...options,
    });
  }

  /** A configuration from texts that are in no file yet; `directory` is where they are going to be. */
  static fromTexts(
    texts: { readonly mainCf: string; readonly masterCf: string },
    directory: string,
    options: LoadOptions = {},
  ): Configuration {
    const mainCf = parseMainCf(texts.mainCf, `${directory}/main.cf`);
    const masterCf = parseMasterCf(texts.masterCf, `${directory}/master.cf`);
    return Configuration.#assemble(directory, mainCf, masterCf, options);
  }

  static #assemble(
    directory: string,
    mainCf: MainCf,
    masterCf: { entries: readonly MasterEntry[]; warnings: readonly string[] },
    options: LoadOptions,
  ): Configuration {
    let host = options.host;
    const source: Source = {
      directory,
      mainCf,
      oldEntries: new Map(
        [...mainCf.entries.values()].flatMap((entry) => {
          const present = presentName(entry.name);
          return present === undefined ? [] : [[present, entry] as const];
        }),
      ),
      master: effectiveEntries(masterCf.entries),
      warnings: [...mainCf.warnings, ...masterCf.warnings],
      environment: options.environment ?? readEnvironment().parameters,
      host: () => (host ??= readHost()),
      program: options.program,
    };
    return new Configuration(source, placed(options.overrides ?? new Map(), commandLine));
  }

  /** The same files under further `-o` settings; `place` says in messages where they stand. */
  withOverrides(overrides: ReadonlyMap<string, string>, place = commandLine): Configuration {
    return new Configuration(this.#source, new Map([...this.#overrides, ...placed(overrides, place)]));
  }

  /** The settings of the process that a master.cf entry starts. */
  ofEntry({ name, command, line, overrides }: MasterEntry): Configuration {
    const ofProcess = new Map([...overrides, ['service_name', name] as const, ['process_name', command] as const]);
    return this.withOverrides(ofProcess, `${this.directory}/master.cf, line ${line}: -o`);
  }

  /** The text that a name was set to, unexpanded; undefined where it was not set. Names of old are read as the present. */
  raw(name: string): string | undefined {
    return (
      this.#overrides.get(name)?.value ??
      this.#source.environment.get(name) ??
      this.#source.mainCf.entries.get(name)?.value ??
      this.#source.oldEntries.get(name)?.value
    );
  }

  /** Whether main.cf, the environment or `-o` sets it. */
  set(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** Names that main.cf sets, in its order. */
  names(): string[] {
    return [...this.#source.mainCf.entries.keys()];
  }

  /** The value with `$name` expanded and the default applied; a `raw` parameter is not expanded. */
  text(name: string): string {
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    const parameter = parameters.get(name) ?? transportFallback(name);
    const value = this.#lookup(name);
    if (value === undefined) throw new PanicError(`parameter ${name} is neither set nor in the parameter table`);
    const text = parameter?.type === 'raw' ? value : this.expand(value, name);
    this.#texts.set(name, text);
    return text;
  }

  boolean(name: string): boolean {
    return parseBoolean(this.text(name)) ?? this.#fail(name, 'yes or no');
  }

  /** A whole number within the range of the parameter. */
  integer(name: string): number {
    const value = parseInteger(this.text(name));
    return value !== undefined && this.#inRange(name, value)
      ? value
      : this.#fail(name, this.#expected(name, 'a whole number'));
  }

  /** A time in seconds. A number without a unit has that of the default. */
  seconds(name: string): number {
    const unit = (parameters.get(name) ?? transportFallback(name))?.defaultValue.at(-1) ?? 's';
    const value = parseSeconds(this.text(name), /[smhdw]/.test(unit) ? unit : 's');
    return value !== undefined && this.#inRange(name, value)
      ? value
      : this.#fail(name, this.#expected(name, 'a whole number with unit s, m, h, d or w'));
  }

  /** Items separated by commas or blanks; text in `{ }` is one item, with its braces. */
  list(name: string, options: { readonly stripBraces?: boolean } = {}): string[] {
    const text = this.text(name);
    if (options.stripBraces !== true) return splitOutsideBraces(text);
    return splitParameterList(text, (error) => this.#fail(name, `balanced braces (${error})`));
  }

  /** Expands text that refers to parameters; `name` says in messages where it stands. */
  expand(text: string, name = ''): string {
    const problems: string[] = [];
    const expansion = expand(text, {
      lookup: (other) => this.#lookup(other),
      comparisons,
      functions,
      warn: (problem) => problems.push(problem),
    });
    if (expansion.malformed) throw new ExpansionError(this.#origin(name), problems);
    return expansion.text;
  }

  /**
   * A setting of main.cf, or of an entry, expanded; as it stands where its type says so. `failed` hears of one that cannot
   * be expanded, which stays as it is too.
   */
  expandedOrAsIs(
    name: string,
    value: string,
    entry?: MasterEntry,
    failed: (error: ExpansionError) => void = () => undefined,
  ): string {
    if (parameters.get(name)?.type === 'raw') return value;
    try {
      return (entry === undefined ? this : this.ofEntry(entry)).expand(value, name);
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      failed(error);
      return value;
    }
  }

  /** Reads every parameter that is set, or those named, by its type: what is wrong with each. */
  problems(names: Iterable<string> = this.#allNames()): { readonly name: string; readonly text: string }[] {
    const problems: { name: string; text: string }[] = [];
    for (const name of names) {
      try {
        this.#checkOne(name);
      } catch (error) {
        if (!(error instanceof FatalError)) throw error;
        problems.push({ name, text: error.message });
      }
    }
    return problems;
  }

  /** The same, one line per problem. */
  check(names?: Iterable<string>): string[] {
    return this.problems(names).map(({ text }) => text);
  }

  #allNames(): Set<string> {
    const { mainCf, environment } = this.#source;
    return new Set([...mainCf.entries.keys(), ...environment.keys(), ...this.#overrides.keys()]);
  }

  #checkOne(name: string): void {
    switch ((parameters.get(name) ?? transportFallback(name))?.type) {
      case 'bool':
      case 'nbool':
        this.boolean(name);
        break;
      case 'int':
      case 'long':
      case 'nint':
        this.integer(name);
        break;
      case 'time':
        this.seconds(name);
        break;
      default:
        this.text(name);
        // Defaults compare with it: a level that is none makes all of these unreadable.
        if (name === 'compatibility_level' && parseCompatibilityLevel(this.text(name).trim()) === undefined)
          this.#fail(name, 'a level such as 3.12');
    }
  }

  /** The file that sets the name, and the line where it does. */
  placeOf(name: string): string {
    const { mainCf, oldEntries } = this.#source;
    const entry = mainCf.entries.get(name) ?? oldEntries.get(name);
    return entry === undefined ? mainCf.path : `${mainCf.path}, line ${entry.line}`;
  }

  /** A message that begins with the name of a parameter, behind the place that sets it; undefined where nothing does. */
  located(message: string): string | undefined {
    const name = /^\w+/.exec(message)?.[0] ?? '';
    const override = this.#overrides.get(name);
    if (override !== undefined) return `${override.place} ${message}`;
    if (this.#source.environment.has(name)) return `environment: ${message}`;
    return this.#source.mainCf.entries.has(name) ? `${this.placeOf(name)}: ${message}` : undefined;
  }

  /** The same where the message is to be had in any case. */
  withPlace(message: string): string {
    return this.located(message) ?? message;
  }

  /** Where a value comes from, for messages: `main.cf, line 3: name = value`. */
  #origin(name: string): string {
    const entry = this.#source.mainCf.entries.get(name) ?? this.#source.oldEntries.get(name);
    const value = this.raw(name);
    if (value === undefined) return `default of ${name}`;
    const override = this.#overrides.get(name);
    if (override !== undefined) return `${override.place} ${name}=${value}`;
    if (this.#source.environment.has(name)) return `environment: ${name.toUpperCase()}=${value}`;
    return `${this.#source.mainCf.path}, line ${entry?.line}: ${entry?.name} = ${value}`;
  }

  #fail(name: string, expected: string): never {
    const text = this.text(name);
    const read = text === this.raw(name) ? '' : ` (read as "${text}")`;
    throw new FatalError(`${this.#origin(name)}${read}: bad value, expected ${expected}`);
  }

  #expected(name: string, what: string): string {
    const { min, max } = this.#range(name);
    if (min !== undefined && max !== undefined) return `${what} from ${min} to ${max}`;
    return min === undefined ? what : `${what} from ${min}`;
  }

  #range(name: string): Pick<Parameter, 'min' | 'max'> {
    const { min, max } = parameters.get(name) ?? transportFallback(name) ?? { min: undefined, max: undefined };
    return { min, max };
  }

  #inRange(name: string, value: number): boolean {
    const { min, max } = this.#range(name);
    return (min === undefined || value >= min) && (max === undefined || value <= max);
  }

  /** The unexpanded value of a name: as set, by default, from the transport's default, from the host. */
  #lookup(name: string): string | undefined {
    const set = this.raw(name);
    if (set !== undefined) return set;
    return this.defaultOf(name);
  }

  /** The unexpanded default of a name: from the host, the table, or the default of all transports. */
  defaultOf(name: string): string | undefined {
    const derived = this.#fromHost(name);
    if (derived !== undefined) return derived;
    const parameter = parameters.get(name);
    if (parameter !== undefined) return parameter.defaultValue;
    const fallback = transportFallback(name);
    return fallback === undefined ? undefined : `$${fallback.name}`;
  }

  #fromHost(name: string): string | undefined {
    switch (name) {
      case 'myhostname':
        return defaultMyhostname(this.#source.host(), this.raw('mydomain'));
      case 'mydomain':
        return defaultMydomain(this.text('myhostname'));
      case 'mynetworks':
        return defaultMynetworks(this.text('mynetworks_style'), this.#receivingAddresses());
      case 'config_directory':
        return this.directory === '' ? undefined : this.directory;
      case 'process_name':
        return this.#source.program;
      case 'process_id':
        return String(process.pid);
      default:
        return undefined;
    }
  }

  /** Addresses of inet_interfaces in the protocols of inet_protocols. */
  #receivingAddresses() {
    return receivingAddresses(this.#source.host().addresses, this.list('inet_interfaces'), this.list('inet_protocols'));
  }
}
