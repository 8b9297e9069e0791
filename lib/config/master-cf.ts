/**
 * Reader of master.cf: one service per logical line, eight columns, then the arguments of its command.
 * Arguments are separated by blanks; `{ }` keeps blanks together. `-o name=value`, `-o { name = value }`, `-v` and `-D`
 * count up to the first argument that is no option. A wrong field is fatal, with file and line.
 * Of several entries with one name and type the last counts. @see master(5)
 */
import { FatalError } from '../util/errors.ts';
import { BLANK, splitNameValue, splitOutsideBraces, unbrace } from '../util/split.ts';
import { logicalLines } from './logical-lines.ts';
import { readConfigurationFile } from './main-cf.ts';

export const serviceTypes = ['inet', 'unix', 'fifo', 'pass', 'unix-dgram'] as const;
export type ServiceType = (typeof serviceTypes)[number];

/** The columns as written, in order. */
export interface MasterFields {
  readonly service: string;
  readonly type: ServiceType;
  readonly private: string;
  readonly unprivileged: string;
  readonly chroot: string;
  readonly wakeup: string;
  readonly process_limit: string;
  readonly command: string;
}

export interface MasterEntry {
  /** Service name: a path for unix and pass, [host:]port for inet. */
  readonly name: string;
  readonly type: ServiceType;
  readonly private: boolean;
  readonly unprivileged: boolean;
  readonly chroot: boolean;
  /** Seconds between wake-ups; 0 for none. */
  readonly wakeup: number;
  /** No wake-up before the service was used for the first time (`?`). */
  readonly wakeupAfterUse: boolean;
  /** Concurrent clients or deliveries per replica; 0 for no limit; undefined for $default_process_limit. */
  readonly maxproc: number | undefined;
  /** Daemon name: smtpd, cleanup … */
  readonly command: string;
  /** All arguments after the command, each as written, braces kept. */
  readonly arguments: readonly string[];
  /** `-o name=value` settings in order; the last of one name counts. */
  readonly overrides: ReadonlyMap<string, string>;
  /** How often `-v` was given. */
  readonly verbose: number;
  /** `-D` was given. */
  readonly debug: boolean;
  /** Arguments that are none of -o, -v, -D, without their outer braces: what pipe and spawn read. */
  readonly commandArguments: readonly string[];
  readonly fields: MasterFields;
  readonly line: number;
}

export interface MasterCf {
  readonly path: string;
  /** In the order of the file, all of them. */
  readonly entries: readonly MasterEntry[];
  readonly warnings: readonly string[];
}

/** One argument of a command as postconf shows and rewrites it. */
export type MasterArgument =
  | { readonly kind: 'override'; readonly name: string; readonly value: string; readonly text: string }
  /** `-o` with what is no `name=value`. */
  | { readonly kind: 'unreadable'; readonly text: string }
  | { readonly kind: 'option'; readonly text: string }
  | { readonly kind: 'argument'; readonly text: string };

/**
 * Splits the options of a command into `-o` settings, single options and plain arguments. `-vo x=y` and `-ox=y` are
 * read as getopt(3) reads them; every option after the first plain argument is a plain argument. `warn` is told what is
 * wrong with a setting, and the setting as it is written.
 */
export function parseArguments(
  argumentsAsWritten: readonly string[],
  warn: (problem: string, setting: string) => void,
): MasterArgument[] {
  const parsed: MasterArgument[] = [];
  for (let at = 0; at < argumentsAsWritten.length; at++) {
    const text = argumentsAsWritten[at]!;
    if (!/^-[^-]/.test(text)) {
      parsed.push(...argumentsAsWritten.slice(at).map((plain) => ({ kind: 'argument', text: plain }) as const));
      break;
    }
    const o = text.indexOf('o');
    if (o < 0) {
      parsed.push({ kind: 'option', text });
      continue;
    }
    if (o > 1) parsed.push({ kind: 'option', text: text.slice(0, o) });
    const attached = text.slice(o + 1);
    const setting = attached !== '' ? attached : argumentsAsWritten[++at];
    if (setting === undefined) {
      parsed.push({ kind: 'option', text: '-o' });
      break;
    }
    const inner = withoutBraces(setting, (problem) => warn(problem, setting));
    const assignment = splitNameValue(inner);
    if ('error' in assignment) {
      warn(`${assignment.error}: "${inner}"`, setting);
      parsed.push({ kind: 'unreadable', text: setting });
    } else parsed.push({ kind: 'override', ...assignment, text: formatOverride(assignment.name, assignment.value) });
  }
  return parsed;
}

/** The text inside an item's braces, where it has any. */
function withoutBraces(item: string, warn: (text: string) => void): string {
  if (!item.startsWith('{')) return item;
  const { text, error } = unbrace(item);
  if (error !== undefined) warn(error);
  return text;
}

/** `name=value`, in braces where the value needs them. */
export function formatOverride(name: string, value: string): string {
  return /\s/.test(value) ? `{${name}=${value}}` : `${name}=${value}`;
}

/** A column that holds something else than it may. `problem` is the sentence without its place. */
export class MasterFieldError extends FatalError {
  readonly problem: string;

  constructor(place: string, problem: string, expected: string) {
    super(`${place}: ${problem}, expected ${expected}`);
    this.problem = problem;
  }
}

/** A line with fewer columns than a service has. `problem` is the sentence without what was found. */
export class MasterFieldCountError extends FatalError {
  readonly problem: string;

  constructor(problem: string, found: number) {
    super(`${problem}, expected 8 fields or more, found ${found}`);
    this.problem = problem;
  }
}

function fail(path: string, line: number, column: string, value: string, whole: string, expected: string): never {
  throw new MasterFieldError(`${path}, line ${line}`, `invalid ${column} field "${value}" in "${whole}"`, expected);
}

function parseFlag(value: string, whenDash: boolean): boolean | undefined {
  if (value === '-') return whenDash;
  return value === 'y' ? true : value === 'n' ? false : undefined;
}

/** A whole number of at most nine digits. */
function parseCount(value: string): number | undefined {
  return /^[0-9]{1,9}$/.test(value) ? Number(value) : undefined;
}

/** How often a one-letter option was given, alone or with others (`-vvD`). */
function countOption(parsed: readonly MasterArgument[], letter: string): number {
  return parsed.reduce((sum, item) => sum + (item.kind === 'option' ? item.text.split(letter).length - 1 : 0), 0);
}

/** Reads one logical line. Throws FatalError with file, line, column and what was expected. */
export function parseMasterLine(
  text: string,
  path: string,
  line: number,
  warn: (problem: string, setting: string) => void,
): MasterEntry {
  const words = splitOutsideBraces(text, BLANK);
  if (words.length < 8) throw new MasterFieldCountError(`file ${path}: line ${line}: bad field count`, words.length);
  const [name, type, isPrivate, unprivileged, chroot, wakeup, limit, command, ...rest] = words as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    ...string[],
  ];
  const whole = words.join(' ');
  if (!(serviceTypes as readonly string[]).includes(type))
    fail(path, line, 'type', type, whole, `one of ${serviceTypes.join(', ')}`);
  const flags = [
    ['private', isPrivate, type !== 'inet'],
    ['unprivileged', unprivileged, true],
    ['chroot', chroot, false],
  ] as const;
  const [privateFlag, unprivilegedFlag, chrootFlag] = flags.map(
    ([column, value, whenDash]) => parseFlag(value, whenDash) ?? fail(path, line, column, value, whole, 'y, n or -'),
  ) as [boolean, boolean, boolean];
  const seconds = wakeup.endsWith('?') ? wakeup.slice(0, -1) : wakeup;
  const wakeupSeconds =
    seconds === '-' ? 0 : (parseCount(seconds) ?? fail(path, line, 'wakeup', wakeup, whole, 'seconds, ? or -'));
  const maxproc =
    limit === '-' ? undefined : (parseCount(limit) ?? fail(path, line, 'process_limit', limit, whole, 'a number or -'));
  const parsed = parseArguments(rest, warn);
  return {
    name,
    type: type as ServiceType,
    private: privateFlag,
    unprivileged: unprivilegedFlag,
    chroot: chrootFlag,
    wakeup: wakeupSeconds,
    wakeupAfterUse: wakeup.endsWith('?'),
    maxproc,
    command,
    arguments: rest,
    overrides: new Map(parsed.flatMap((item) => (item.kind === 'override' ? [[item.name, item.value]] : []))),
    verbose: countOption(parsed, 'v'),
    debug: countOption(parsed, 'D') > 0,
    commandArguments: parsed.flatMap((item) =>
      item.kind === 'argument' ? [withoutBraces(item.text, (problem) => warn(problem, item.text))] : [],
    ),
    fields: {
      service: name,
      type: type as ServiceType,
      private: isPrivate,
      unprivileged,
      chroot,
      wakeup,
      process_limit: limit,
      command: [command, ...rest].join(' '),
    },
    line,
  };
}

/** Reads the text of a master.cf; `path` is for messages. */
export function parseMasterCf(source: string, path: string): MasterCf {
  const entries: MasterEntry[] = [];
  const warnings: string[] = [];
  for (const { text, line } of logicalLines(source)) {
    if (/^\s/.test(text))
      throw new FatalError(
        `${path}, line ${line}: logical line must not start with whitespace: "${text.slice(0, 30)}"`,
      );
    entries.push(parseMasterLine(text, path, line, (warning) => warnings.push(`${path}, line ${line}: ${warning}`)));
  }
  return { path, entries, warnings };
}

export function readMasterCf(path: string): MasterCf {
  return parseMasterCf(readConfigurationFile(path), path);
}

/** The entries that count: of several with one name and type, the last. */
export function effectiveEntries(entries: readonly MasterEntry[]): MasterEntry[] {
  return [...new Map(entries.map((entry) => [`${entry.name}/${entry.type}`, entry] as const)).values()];
}
