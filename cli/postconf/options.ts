/**
 * Command line of postconf: single-letter options that may be written together, then arguments.
 * Throws FatalError with the sentence that postconf prints. @see postconf(1)
 */
import { FatalError } from '../../lib/util/errors.ts';
import { splitNameValue, splitOutsideBraces } from '../../lib/util/split.ts';

export const parameterClasses = ['builtin', 'service', 'user'] as const;
export type ParameterClass = (typeof parameterClasses)[number];

/** What postconf works on. */
export type Subject = 'main' | 'entries' | 'fields' | 'parameters';

/** What it does with it. */
export type Action = 'show' | 'edit' | 'comment-out' | 'exclude';

export interface Options {
  readonly configDirectory: string | undefined;
  readonly subject: Subject;
  readonly action: Action;
  readonly defaults: boolean;
  readonly onlySet: boolean;
  readonly fold: boolean;
  readonly hideNames: boolean;
  readonly hideValues: boolean;
  readonly json: boolean;
  readonly expand: boolean;
  /** Say of each parameter shown who reads it, or why nothing does. */
  readonly verbose: boolean;
  /** `-PP`: parameters that a service reads from main.cf too. */
  readonly withInherited: boolean;
  readonly classes: ReadonlySet<ParameterClass>;
  readonly overrides: ReadonlyMap<string, string>;
  /** One of the listings that need no configuration. */
  readonly listing: 'a' | 'A' | 'l' | 'm' | 'T' | 'b' | 't' | undefined;
  readonly tlsMode: string;
  readonly operands: readonly string[];
}

const withValue = 'cCoT';
const flags = 'aAbdeEfFhHjlmMnpPtvxX#';
const listings = ['a', 'A', 'b', 'l', 'm', 't', 'T'] as const;

export const usage =
  'usage: postconf [-a (server SASL types)] [-A (client SASL types)] [-b (bounce templates)] [-c config_dir] ' +
  '[-C param_class] [-d (parameter defaults)] [-e (edit configuration)] [-f (fold lines)] [-F (master.cf fields)] ' +
  '[-h (no names)] [-H (no values)] [-j (JSON output)] [-l (lock types)] [-m (map types)] [-M (master.cf)] ' +
  '[-n (non-default parameters)] [-o name=value (override parameter value)] [-p (main.cf, default)] ' +
  '[-P (master.cf parameters)] [-t (bounce templates)] [-T compile-version|run-version|public-key-algorithms] ' +
  '[-v (verbose)] [-x (expand parameter values)] [-X (exclude)] [-# (comment-out)] [name...]';

/** An option that does not exist or lacks its value; the problem goes before the usage on a line of its own. */
export class UsageError extends FatalError {
  readonly problem: string;

  constructor(problem: string) {
    super(usage);
    this.problem = problem;
  }
}

/** Splits a command line into letters with their values, and operands, the first of which ends the options. */
function scan(argv: readonly string[]): { letters: string[]; values: Map<string, string[]>; operands: string[] } {
  const letters: string[] = [];
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--') {
      operands.push(...argv.slice(at + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      operands.push(...argv.slice(at));
      break;
    }
    for (let index = 1; index < word.length; index++) {
      const letter = word[index]!;
      if (withValue.includes(letter)) {
        const value = word.slice(index + 1) || argv[++at];
        if (value === undefined) throw new UsageError(`option requires an argument -- '${letter}'`);
        letters.push(letter);
        values.set(letter, [...(values.get(letter) ?? []), value]);
        break;
      }
      if (!flags.includes(letter)) throw new UsageError(`invalid option -- '${letter}'`);
      letters.push(letter);
    }
  }
  return { letters, values, operands };
}

function parseClasses(texts: readonly string[]): Set<ParameterClass> {
  const classes = new Set<ParameterClass>();
  for (const text of texts)
    for (const word of splitOutsideBraces(text)) {
      if (word === 'all') for (const one of parameterClasses) classes.add(one);
      else if ((parameterClasses as readonly string[]).includes(word)) classes.add(word as ParameterClass);
      else throw new FatalError(`unknown -C option value "${word}" in "${text}"`);
    }
  return classes.size === 0 ? new Set(parameterClasses) : classes;
}

function parseOverrides(texts: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const setting = splitNameValue(text);
      if ('error' in setting) throw new FatalError(`invalid parameter override: ${text}: ${setting.error}`);
      return [setting.name, setting.value];
    }),
  );
}

/** Letters of which at most one may be given. Those that were are named in the order in which they stand here. */
const alternatives: readonly string[] = ['aAbFlmMpPtT', 'denX#', 'efX#', 'exX#', 'ehHX#'];

/** Letters that make no sense together with the subject or action of another. */
const conflicts: readonly (readonly [option: string, without: string])[] = [
  ...[...listings].map((letter) => [letter, 'defhHnxX#'] as const),
  ['F', 'dnX#'],
  ['M', 'dhHn'],
  ['P', 'dn#'],
  ['e', 'j'],
  ['X', 'j'],
  ['#', 'j'],
  ['j', 'hH'],
];

/** The one of these letters that was given; `refuseCombinations` saw to it that there are not two. */
function oneOf<Letter extends string>(letters: readonly string[], choice: readonly Letter[]): Letter | undefined {
  return choice.find((letter) => letters.includes(letter));
}

/** Throws FatalError where letters do not go together. */
function refuseCombinations(letters: readonly string[]): void {
  if (letters.includes('b') && letters.includes('t')) throw new FatalError('specify one of -b and -t');
  for (const choice of alternatives) {
    const given = [...choice].filter((letter) => letters.includes(letter));
    if (given.length > 1) throw new FatalError(`specify one of ${given.map((letter) => `-${letter}`).join(' ')}`);
  }
  for (const [option, without] of conflicts) {
    if (!letters.includes(option)) continue;
    for (const letter of without)
      if (letters.includes(letter)) throw new FatalError(`with option -${option}, do not specify -${letter}`);
  }
}

const subjects: Readonly<Record<string, Subject>> = { p: 'main', M: 'entries', F: 'fields', P: 'parameters' };
const actions: Readonly<Record<string, Action>> = { e: 'edit', '#': 'comment-out', X: 'exclude' };

export function parseOptions(argv: readonly string[]): Options {
  const { letters, values, operands } = scan(argv);
  refuseCombinations(letters);
  const subjectLetter = oneOf(letters, ['p', 'M', 'F', 'P']) ?? 'p';
  const actionLetter = oneOf(letters, ['e', '#', 'X']);
  const listing = oneOf(letters, [...listings]);
  const has = (letter: string): boolean => letters.includes(letter);
  // A value on the command line means an edit, as if -e had been given.
  const implied = listing === undefined && operands.some((operand) => operand.includes('=')) ? 'edit' : 'show';
  return {
    configDirectory: values.get('c')?.at(-1),
    subject: subjects[subjectLetter]!,
    action: actionLetter === undefined ? implied : actions[actionLetter]!,
    defaults: has('d'),
    onlySet: has('n'),
    fold: has('f'),
    hideNames: has('h'),
    hideValues: has('H'),
    json: has('j'),
    expand: has('x'),
    verbose: has('v'),
    withInherited: letters.filter((letter) => letter === 'P').length > 1,
    classes: parseClasses(values.get('C') ?? []),
    overrides: parseOverrides(values.get('o') ?? []),
    listing,
    tlsMode: values.get('T')?.at(-1) ?? '',
    operands,
  };
}
