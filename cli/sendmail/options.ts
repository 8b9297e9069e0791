/**
 * The command line of sendmail(1): the options of Sendmail that Postfix honours, and those that it takes and ignores.
 * Pure. Throws FatalError with EX_USAGE for what neither knows.
 */
import { EX, FatalError } from '../../lib/util/errors.ts';

export type Mode =
  /** Take a message from standard input. */
  | 'submit'
  /** -bv */
  | 'verify'
  /** -bp */
  | 'mailq'
  /** -bi, -I */
  | 'newaliases'
  /** -bs */
  | 'smtp'
  /** -bd, -bl */
  | 'daemon'
  /** -q, -qI, -qR */
  | 'flush';

export interface SendmailOptions {
  readonly mode: Mode;
  /** -f, -r: as given; undefined where it was not. */
  readonly sender: string | undefined;
  /** -F */
  readonly fullName: string | undefined;
  readonly recipients: readonly string[];
  /** -t */
  readonly extractRecipients: boolean;
  /** Neither -i nor -oi: a line with a dot alone ends the message. */
  readonly dotEnds: boolean;
  /** "7bit", "8bit", or empty. */
  readonly encoding: string;
  /** Bits of DSN NOTIFY. */
  readonly notify: number;
  /** "FULL", "HDRS", or empty. */
  readonly returned: string;
  /** -V: decoded. */
  readonly envelopeId: string;
  /** -XV: delimiters, "" for the default ones, undefined for none. */
  readonly verp: string | undefined;
  /** -G */
  readonly gateway: boolean;
  /** -v */
  readonly verbose: boolean;
  readonly configDirectory: string | undefined;
  /** -oA */
  readonly aliasDatabase: string | undefined;
  /** What -q asks for: "", "I<queue id>", "R<site>". */
  readonly flush: string;
}

type Draft = { -readonly [Name in keyof SendmailOptions]: SendmailOptions[Name] };

/** Options with an argument, attached or following; those without stand in FLAGS. */
const WITH_ARGUMENT = 'ABCFLNORVXbefhopr';
const FLAGS = 'GITUcimnstvx';
const NOTIFY: Readonly<Record<string, number>> = { never: 1, success: 2, failure: 4, delay: 8 };

function usage(text: string): FatalError {
  return new FatalError(text, { exitCode: EX.USAGE });
}

export function parseOptions(argv: readonly string[], calledAs: 'sendmail' | 'mailq' | 'newaliases'): SendmailOptions {
  const draft: Draft = {
    mode: calledAs === 'sendmail' ? 'submit' : calledAs,
    sender: undefined,
    fullName: undefined,
    recipients: [],
    extractRecipients: false,
    dotEnds: true,
    encoding: '',
    notify: 0,
    returned: '',
    envelopeId: '',
    verp: undefined,
    gateway: false,
    verbose: false,
    configDirectory: undefined,
    aliasDatabase: undefined,
    flush: '',
  };
  const rest = [...argv];
  const recipients: string[] = [];
  while (rest.length > 0) {
    const word = rest.shift()!;
    if (word === '--') break;
    if (!word.startsWith('-') || word === '-') {
      recipients.push(word);
      continue;
    }
    readWord(draft, word.slice(1), rest);
  }
  draft.recipients = [...recipients, ...rest];
  return draft;
}

/** One word of options: flags may be joined, `-ti`. */
function readWord(draft: Draft, word: string, rest: string[]): void {
  for (let at = 0; at < word.length; at++) {
    const option = word.charAt(at);
    const attached = word.slice(at + 1);
    if (option === 'q') {
      readQueueOption(draft, attached);
      return;
    }
    if (WITH_ARGUMENT.includes(option)) {
      readWithArgument(draft, option, attached, rest);
      return;
    }
    if (!FLAGS.includes(option)) throw usage(`invalid option -${option}; see sendmail(1)`);
    readFlag(draft, option);
  }
}

function readFlag(draft: Draft, option: string): void {
  if (option === 't') draft.extractRecipients = true;
  else if (option === 'i') draft.dotEnds = false;
  else if (option === 'G') draft.gateway = true;
  else if (option === 'v') draft.verbose = true;
  else if (option === 'I') draft.mode = 'newaliases';
}

function readQueueOption(draft: Draft, value: string): void {
  // An interval between queue runs is the queue manager's business.
  if (/^[0-9]/.test(value)) return;
  if (value !== '' && !/^[IR]./.test(value)) throw usage(`-q${value}: expected -q, -qIqueueid or -qRsite`);
  draft.mode = 'flush';
  draft.flush = value;
}

function readWithArgument(draft: Draft, option: string, attached: string, rest: string[]): void {
  const argument = (): string => {
    const value = attached !== '' ? attached : rest.shift();
    if (value === undefined) throw usage(`option requires an argument -- '${option}'`);
    return value;
  };
  switch (option) {
    case 'o':
      readOldOption(draft, argument(), rest);
      break;
    case 'f':
    case 'r':
      draft.sender = argument();
      break;
    case 'F':
      draft.fullName = argument();
      break;
    case 'B':
      draft.encoding = readBodyType(argument());
      break;
    case 'N':
      draft.notify = readNotify(argument());
      break;
    case 'R':
      draft.returned = readReturn(argument());
      break;
    case 'V':
      draft.envelopeId = readEnvelopeId(argument());
      break;
    case 'C':
      draft.configDirectory = argument().replace(/\/main\.cf$/, '');
      break;
    case 'X':
      readVerp(draft, argument());
      break;
    case 'b':
      draft.mode = readMode(argument());
      break;
    default:
      // -A, -L, -O, -e, -h, -p: Sendmail's own affairs.
      argument();
  }
}

/** `-oi`, `-oAfile`, and `-ox value` with a value that is ignored. */
function readOldOption(draft: Draft, value: string, rest: string[]): void {
  const option = value.charAt(0);
  if (option === 'i') draft.dotEnds = false;
  else if (option === 'A') draft.aliasDatabase = value.length > 1 ? value.slice(1) : rest.shift();
  else if (value.length === 1 && !'m78'.includes(option)) rest.shift();
}

function readMode(value: string): Mode {
  const modes: Readonly<Record<string, Mode>> = {
    m: 'submit',
    v: 'verify',
    p: 'mailq',
    i: 'newaliases',
    s: 'smtp',
    d: 'daemon',
    l: 'daemon',
  };
  // Host status is kept nowhere: -bh and -bH do nothing.
  if (value === 'h' || value === 'H') return 'submit';
  const mode = Object.hasOwn(modes, value) ? modes[value] : undefined;
  if (mode === undefined) throw usage(`unsupported: -b${value}`);
  return mode;
}

function readBodyType(value: string): string {
  const type = value.toUpperCase();
  if (type === '7BIT') return '7bit';
  if (type === '8BITMIME') return '8bit';
  throw usage(`specify -B with 7BIT or 8BITMIME, not "${value}"`);
}

function readNotify(value: string): number {
  let bits = 0;
  for (const word of value.toLowerCase().split(/[\s,]+/)) bits |= NOTIFY[word] ?? 0x100;
  if (bits === 0 || bits > 15 || ((bits & 1) !== 0 && bits !== 1)) {
    throw usage(`bad -N option value "${value}": specify "never", or a list of "success", "failure" and "delay"`);
  }
  return bits;
}

function readReturn(value: string): string {
  const returned = value.toUpperCase();
  if (returned === 'FULL' || returned === 'HDRS') return returned;
  throw usage(`specify -R with "full" or "hdrs", not "${value}"`);
}

function readEnvelopeId(value: string): string {
  if (value.length > 100) throw usage('the value of -V is too long: at most 100 characters');
  if (!/^[\x20-\x7e]+$/.test(value)) throw usage('the value of -V must be printable ASCII');
  return value;
}

function readVerp(draft: Draft, value: string): void {
  if (!value.startsWith('V')) return;
  if (value.length !== 1 && value.length !== 3) throw usage(`-X${value}: expected -XV, or -XV with two delimiters`);
  draft.verp = value.slice(1);
}
