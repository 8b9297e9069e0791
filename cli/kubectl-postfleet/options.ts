/**
 * The command line of kubectl postfleet: options that every command has, those of its own, and operands, in any order, as
 * with kubectl. Pure; what is wrong with a command line is a FatalError with exit status EX_USAGE.
 */
import { parseArgs } from 'node:util';
import { EX, FatalError } from '../../lib/util/errors.ts';

/** Options of one command, in the words of node:util's parseArgs. */
export interface OptionShape {
  readonly [name: string]: {
    readonly type: 'string' | 'boolean';
    readonly short?: string;
  };
}

/** Where the cluster is found, and which of its MailServers is meant. */
export interface Target {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: string | undefined;
  /** Undefined means the only one of the namespace. */
  readonly mailServer: string | undefined;
}

export type OutputFormat = 'text' | 'json';

export interface Request {
  readonly target: Target;
  readonly output: OutputFormat;
  readonly help: boolean;
  readonly operands: readonly string[];
  /** A value of an option of the command's own. */
  text(name: string): string | undefined;
  flag(name: string): boolean;
}

const COMMON = {
  namespace: { type: 'string', short: 'n' },
  mailserver: { type: 'string', short: 'm' },
  kubeconfig: { type: 'string' },
  context: { type: 'string' },
  output: { type: 'string', short: 'o' },
  json: { type: 'boolean', short: 'j' },
  help: { type: 'boolean', short: 'h' },
} as const;

export function parseRequest(argv: readonly string[], own: OptionShape): Request {
  const { values, positionals } = parse(argv, own);
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const flag = (name: string): boolean => values[name] === true;
  return {
    target: {
      kubeconfig: text('kubeconfig'),
      context: text('context'),
      namespace: text('namespace'),
      mailServer: text('mailserver'),
    },
    output: flag('json') ? 'json' : outputFormat(text('output') ?? 'text'),
    help: flag('help'),
    operands: positionals,
    text,
    flag,
  };
}

function parse(argv: readonly string[], own: OptionShape) {
  try {
    const options = { ...own, ...COMMON };
    return parseArgs({ args: [...argv], options, allowPositionals: true, strict: true }) as {
      values: Record<string, string | boolean | undefined>;
      positionals: string[];
    };
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error), error);
  }
}

function outputFormat(name: string): OutputFormat {
  if (name === 'text' || name === 'json') return name;
  throw usage(`--output ${name}: expected text or json`);
}

export function usage(message: string, cause?: unknown): FatalError {
  return new FatalError(message, { exitCode: EX.USAGE, cause });
}
