/**
 * The command attributes of a pipe(8) entry in master.cf: `flags=… user=… argv=…`. See pipe(8), COMMAND ATTRIBUTE SYNTAX.
 * Throws FatalError naming the attribute and what was expected.
 */
import { namesIn } from '../../lib/config/expand.ts';
import { canChangeRights, type Rights, rightsOf } from '../../lib/delivery/rights.ts';
import { FatalError } from '../../lib/util/errors.ts';
import type { UserDatabase } from '../../lib/util/passwd.ts';
import { MACROS } from './macros.ts';

export interface PipeAttributes {
  readonly flags: ReadonlySet<string>;
  readonly argv: readonly string[];
  /** As whom the command runs; undefined: as ourselves, who are that user. */
  readonly rights: Rights | undefined;
  readonly nullSender: string;
  readonly lineEnd: string;
  /** Octets; 0 for no limit. */
  readonly sizeLimit: number;
  readonly directory: string | undefined;
  readonly chroot: string | undefined;
}

const FLAGS = 'BDFORXhqu.>';

export function parseAttributes(
  argumentList: readonly string[],
  users: UserDatabase,
  mailOwner: string,
): PipeAttributes {
  const values = new Map<string, string>();
  let argv: string[] | undefined;
  for (const [index, item] of argumentList.entries()) {
    const equals = item.indexOf('=');
    const name = equals < 0 ? item : item.slice(0, equals);
    const value = equals < 0 ? '' : item.slice(equals + 1);
    if (name === 'argv') {
      argv = [value, ...argumentList.slice(index + 1)].filter((word) => word !== '');
      break;
    }
    if (!['chroot', 'directory', 'eol', 'flags', 'null_sender', 'size', 'user'].includes(name)) {
      throw new FatalError(`unknown attribute "${name}"; see pipe(8)`);
    }
    values.set(name, value);
  }
  if (argv === undefined || argv.length === 0) throw new FatalError('missing argv= command attribute');
  const user = values.get('user');
  if (user === undefined || user === '') throw new FatalError('missing user= command attribute');
  checkMacros(argv);
  const attributes: PipeAttributes = {
    flags: parseFlags(values.get('flags') ?? ''),
    argv,
    rights: commandRights(user, users, mailOwner),
    nullSender: values.get('null_sender') ?? 'MAILER-DAEMON',
    lineEnd: withoutEscapes(values.get('eol') ?? '\\n'),
    sizeLimit: parseSize(values.get('size') ?? '0'),
    directory: values.get('directory'),
    chroot: values.get('chroot'),
  };
  checkChroot(attributes);
  return attributes;
}

function checkMacros(argv: readonly string[]): void {
  for (const name of argv.flatMap((argument) => namesIn(argument))) {
    if (!MACROS.has(name)) throw new FatalError(`unknown macro name "$${name}" in argv=; see pipe(8)`);
  }
}

function parseFlags(text: string): Set<string> {
  for (const flag of text) {
    if (!FLAGS.includes(flag))
      throw new FatalError(`unknown flag "${flag}" in flags=${text}; expected some of ${FLAGS}`);
  }
  return new Set(text);
}

function parseSize(text: string): number {
  const size = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(size)) throw new FatalError(`bad size=${text}: expected a number of bytes`);
  return size;
}

/** Refuses the superuser and the owner of the mail system, and users that the service cannot become. */
function commandRights(user: string, users: UserDatabase, mailOwner: string): Rights | undefined {
  const rights = rightsOf(user, users);
  if (rights === undefined) throw new FatalError(`user=${user}: no such user or group`);
  if (rights.uid === 0 || rights.gid === 0)
    throw new FatalError(`user=${user}: commands are not run with root privileges`);
  const owner = users.user(mailOwner);
  if (canChangeRights()) {
    if (owner !== undefined && (rights.uid === owner.uid || rights.gid === owner.gid)) {
      throw new FatalError(`user=${user}: commands are not run with the privileges of mail_owner`);
    }
    return rights;
  }
  if (rights.uid === process.geteuid?.()) return undefined;
  throw new FatalError(`user=${user}: only a service run by root can run commands as another user`);
}

function checkChroot({ chroot, directory }: PipeAttributes): void {
  if (chroot === undefined) return;
  if (!canChangeRights()) throw new FatalError('chroot=: only a service run by root can change its root directory');
  if (directory !== undefined) throw new FatalError('chroot= and directory= cannot be used together here');
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** C-style escapes: `\r\n`, `\ddd` with up to three octal digits. */
function withoutEscapes(text: string): string {
  return text.replace(/\\([0-7]{1,3}|.)/gs, (whole, escaped: string) => {
    if (/^[0-7]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped, 8) & 0xff);
    return ESCAPES[escaped] ?? whole;
  });
}
