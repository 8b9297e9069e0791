/** The command lines of postmap(1) and postalias(1): single-letter options that may be written together, then tables. */
import { FatalError } from '../util/errors.ts';

/** What the command does. */
export type CommandMode =
  | { readonly kind: 'create' }
  | { readonly kind: 'incremental' }
  | { readonly kind: 'query'; readonly key: string }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'list' };

export interface CommandOptions {
  readonly mode: CommandMode;
  readonly configDirectory: string | undefined;
  readonly foldKeys: boolean;
  readonly valueIsFile: boolean;
  readonly json: boolean;
  /** Query keys are the headers of a message on standard input, the lines of its body, or both. */
  readonly headerKeys: boolean;
  readonly bodyKeys: boolean;
  readonly mime: boolean;
  /** -u */
  readonly withoutUtf8: boolean;
  /** -U */
  readonly forceUtf8: boolean;
  readonly keepPrivileges: boolean;
  readonly defaultMode: boolean;
  readonly duplicates: 'warn' | 'ignore' | 'replace';
  readonly verbose: boolean;
  readonly tables: readonly string[];
}

/** How a command's own command line differs. */
export interface CommandSyntax {
  readonly program: string;
  readonly usage: string;
  /** Letters without a value. */
  readonly flags: string;
}

const WITH_VALUE = 'cdq';

/** Throws FatalError with the command's usage, or with what does not go together. */
export function parseCommandLine(
  argv: readonly string[],
  syntax: CommandSyntax,
  complain: (text: string) => void,
): CommandOptions {
  const { letters, values, operands } = scan(argv, syntax, complain);
  const has = (letter: string): boolean => letters.includes(letter);
  const modes = letters.filter((letter) => 'diqs'.includes(letter));
  if (modes.length > 1) throw new FatalError('specify only one of -d -i -q or -s');
  const mode = modeOf(modes[0], values);
  if ((has('b') || has('h') || has('m')) && !(mode.kind === 'query' && mode.key === '-')) {
    throw new FatalError('specify -b -h or -m only with "-q -"');
  }
  if (has('r') && has('w')) throw new FatalError('specify only one of -r or -w');
  return {
    mode,
    configDirectory: values.get('c'),
    foldKeys: !has('f'),
    valueIsFile: has('F'),
    json: has('j'),
    headerKeys: has('h'),
    bodyKeys: has('b'),
    mime: has('m'),
    withoutUtf8: has('u'),
    forceUtf8: has('U'),
    keepPrivileges: has('o'),
    defaultMode: has('p'),
    duplicates: has('r') ? 'replace' : has('w') ? 'ignore' : 'warn',
    verbose: has('v'),
    tables: operands,
  };
}

function modeOf(letter: string | undefined, values: ReadonlyMap<string, string>): CommandMode {
  switch (letter) {
    case 'd':
      return { kind: 'delete', key: values.get('d')! };
    case 'q':
      return { kind: 'query', key: values.get('q')! };
    case 'i':
      return { kind: 'incremental' };
    case 's':
      return { kind: 'list' };
    default:
      return { kind: 'create' };
  }
}

interface Scanned {
  readonly letters: readonly string[];
  readonly values: ReadonlyMap<string, string>;
  readonly operands: readonly string[];
}

function scan(argv: readonly string[], syntax: CommandSyntax, complain: (text: string) => void): Scanned {
  const letters: string[] = [];
  const values = new Map<string, string>();
  const usage = (problem?: string): FatalError => {
    if (problem !== undefined) complain(problem);
    return new FatalError(`usage: ${syntax.usage}`);
  };
  let at = 0;
  for (; at < argv.length && argv[at]!.startsWith('-') && argv[at] !== '-'; at++) {
    const word = argv[at]!;
    if (word === '--') {
      at += 1;
      break;
    }
    for (let place = 1; place < word.length; place++) {
      const letter = word[place]!;
      if (!WITH_VALUE.includes(letter) && !syntax.flags.includes(letter)) throw usage(`invalid option -- '${letter}'`);
      letters.push(letter);
      if (!WITH_VALUE.includes(letter)) continue;
      const value = place + 1 < word.length ? word.slice(place + 1) : argv[++at];
      if (value === undefined) throw usage(`option requires an argument -- '${letter}'`);
      values.set(letter, value);
      break;
    }
  }
  const operands = argv.slice(at);
  if (operands.length === 0) throw usage();
  return { letters, values, operands };
}
