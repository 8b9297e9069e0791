/**
 * Shows master.cf: entries (-M), their fields (-F), their parameters (-P). Patterns are `service/type/rest`, each part a
 * name or `*`; parts left out count as `*`.
 */
import { formatOverride, type MasterArgument, type MasterEntry, parseArguments } from '../../lib/config/master-cf.ts';
import { parameters } from '../../lib/config/parameters.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { FatalError } from '../../lib/util/errors.ts';
import { unbrace } from '../../lib/util/split.ts';
import type { Options } from './options.ts';
import { foldWords, formatSetting, indent } from './print.ts';

export const fieldNames = [
  'service',
  'type',
  'private',
  'unprivileged',
  'chroot',
  'wakeup',
  'process_limit',
  'command',
] as const;
export type FieldName = (typeof fieldNames)[number];

/** Columns at which the fields of a formatted entry begin. */
const fieldColumns = [0, 11, 17, 25, 33, 41, 49, 57];
/** One column less than for main.cf. */
const lineLimit = 79;

/** The words of a command with its arguments, `-o` settings in their normal form. */
export function commandWords(entry: Pick<MasterEntry, 'command' | 'arguments'>, expandValue = identity): string[] {
  return [entry.command, ...normalArguments(entry, expandValue).flatMap(argumentWords)];
}

function identity(value: string): string {
  return value;
}

function normalArguments(
  entry: Pick<MasterEntry, 'arguments'>,
  expandValue: (value: string) => string,
): MasterArgument[] {
  const parsed = parseArguments(entry.arguments, () => {});
  const firstPlain = parsed.find(({ kind }) => kind === 'argument');
  return parsed.map((argument) => {
    if (argument.kind !== 'override') return { ...argument, text: normalText(argument.text, argument === firstPlain) };
    const value = expandValue(argument.value);
    return { ...argument, value, text: formatOverride(argument.name, value) };
  });
}

/** Braces stand around a text with blanks alone. The first plain argument has them only where they were written. */
function normalText(text: string, first: boolean): string {
  const braced = text.startsWith('{');
  const inner = braced ? unbrace(text).text : text;
  return /\s/.test(inner) && (braced || !first) ? `{${inner}}` : inner;
}

function isSetting({ kind }: MasterArgument): boolean {
  return kind === 'override' || kind === 'unreadable';
}

function argumentWords(argument: MasterArgument): string[] {
  return isSetting(argument) ? ['-o', argument.text] : [argument.text];
}

/** An entry in columns: on one line, or with each `-o` on a line of its own and long lines folded. */
export function formatEntry(entry: MasterEntry, fold: boolean, expandValue = identity): string {
  let text = '';
  for (const [index, name] of fieldNames.entries()) {
    if (index > 0) text = `${text} `.padEnd(fieldColumns[index]!);
    text += name === 'command' ? entry.command : entry.fields[name];
  }
  const items = normalArguments(entry, expandValue);
  if (!fold) return [text, ...items.flatMap(argumentWords)].join(' ');
  let afterOverride = false;
  for (const item of items) {
    if (isSetting(item)) text += `\n${indent}-o ${item.text}`;
    else if (afterOverride) text += `\n${indent}${item.text}`;
    else text = foldWords(text, [item.text], lineLimit);
    afterOverride = isSetting(item);
  }
  return text;
}

/** Whether a pattern's parts match those of a name, part by part. */
function matches(pattern: readonly string[], ...parts: readonly string[]): boolean {
  return parts.every(
    (part, index) => pattern[index] === undefined || pattern[index] === '*' || pattern[index] === part,
  );
}

export interface Shown {
  readonly lines: string[];
  /** Requests that matched nothing. */
  readonly unmatched: string[];
}

function expander(entry: MasterEntry, configuration: Configuration, options: Options): (value: string) => string {
  if (!options.expand) return identity;
  const own = configuration.ofEntry(entry);
  return (value) => own.expand(value, `-o of ${entry.name}/${entry.type}`);
}

/** Splits requests into their parts; at most `limit` of them. */
function patternsOf(options: Options, limit: number, message: string): { text: string; parts: string[] }[] {
  const requests = options.operands.length === 0 ? ['*'] : options.operands;
  return requests.map((text) => {
    const parts = text.split('/').filter((part) => part !== '');
    if (parts.length === 0 || parts.length > limit) throw new FatalError(message);
    return { text, parts };
  });
}

/** Runs a request over all entries: what it prints for each. */
function showEach(
  entries: readonly MasterEntry[],
  patterns: readonly { text: string; parts: string[] }[],
  options: Options,
  show: (entry: MasterEntry, pattern: string[]) => string[],
): Shown {
  const shown = patterns.map(({ parts }) =>
    entries.map((entry) => (matches(parts, entry.name, entry.type) ? show(entry, parts) : [])),
  );
  const unmatched = patterns.filter((_, index) => shown[index]!.every((lines) => lines.length === 0));
  return {
    // An entry is shown for each request that it matches.
    lines: entries.flatMap((_, index) => shown.flatMap((ofPattern) => ofPattern[index]!)),
    unmatched: options.operands.length === 0 ? [] : unmatched.map(({ text }) => text),
  };
}

export function showEntries(entries: readonly MasterEntry[], configuration: Configuration, options: Options): Shown {
  const patterns = patternsOf(options, 2, '-M option requires service_name[/type]');
  return showEach(entries, patterns, options, (entry) => {
    const expandValue = expander(entry, configuration, options);
    if (!options.json) return [formatEntry(entry, options.fold, expandValue)];
    const { fields } = entry;
    const columns = fieldNames.slice(0, -1).map((name) => fields[name]);
    return [
      formatSetting(
        `${entry.name}/${entry.type}`,
        [...columns, ...commandWords(entry, expandValue)].join(' '),
        options,
      ),
    ];
  });
}

export function showFields(entries: readonly MasterEntry[], configuration: Configuration, options: Options): Shown {
  const patterns = patternsOf(options, 3, '-F option requires service_name[/type[/field]]');
  for (const { parts } of patterns)
    if (parts[2] !== undefined && parts[2] !== '*' && !(fieldNames as readonly string[]).includes(parts[2]))
      throw new FatalError(`invalid service attribute name: "${parts[2]}"`);
  return showEach(entries, patterns, options, (entry, pattern) =>
    fieldNames
      .filter((field) => matches(pattern, entry.name, entry.type, field))
      .map((field) => {
        const value =
          field === 'command'
            ? commandWords(entry, expander(entry, configuration, options)).join(' ')
            : entry.fields[field];
        return formatSetting(`${entry.name}/${entry.type}/${field}`, value, options);
      }),
  );
}

export function showParameters(entries: readonly MasterEntry[], configuration: Configuration, options: Options): Shown {
  const patterns = patternsOf(options, 3, '-P option requires service_name[/type[/parameter]]');
  return showEach(entries, patterns, options, (entry, pattern) => {
    const own = configuration.ofEntry(entry);
    const inherited = options.withInherited ? [...parameters.keys(), ...configuration.names()] : [];
    return [...new Set([...entry.overrides.keys(), ...inherited])]
      .filter((name) => matches(pattern, entry.name, entry.type, name))
      .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
      .map((name) => {
        const value = own.raw(name) ?? own.defaultOf(name) ?? '';
        const expanded = options.expand && parameters.get(name)?.type !== 'raw' ? own.expand(value, name) : value;
        return formatSetting(`${entry.name}/${entry.type}/${name}`, expanded, options);
      });
  });
}
