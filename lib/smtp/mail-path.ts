/**
 * The address of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2) in internal form: without brackets, source route and
 * quotes. What Postfix forgives is forgiven unless `strict`: missing brackets, blanks and comments.
 *
 * Pure. The common form, a dot-atom at a host name in brackets, is recognised without taking the address apart.
 */
import { isMailDomain } from '../mail/mail-domain.ts';
import { internalize, parse, type Token } from '../mail/tok822.ts';

export type MailPath =
  | {
      readonly address: string;
      /** The local part stands in quotes that it needs, or there is more to it than a plain address. */
      readonly plain: boolean;
    }
  /** No address, or more than one. */
  | undefined;

/** By code below 128: 1 stands for itself in a local part, 2 in a domain as well. */
const PLAIN = new Uint8Array(128);
for (const char of "+=/#$*?^`{|}~'&") PLAIN[char.charCodeAt(0)] = 1;
for (const char of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-') PLAIN[char.charCodeAt(0)] = 2;

const AT = 64;
const DOT = 46;
const HYPHEN = 45;
const LABEL = 63;
const DOMAIN = 255;

/**
 * `user@host.name` between brackets with nothing to unquote, the local part not beginning with a hyphen, and a domain that
 * is plainly a host name. What is more special than that is taken apart by the parser.
 */
function isPlainAddress(text: string): boolean {
  let at = -1;
  let previous = DOT;
  let length = 0;
  let letters = false;
  for (let index = 1; index < text.length - 1; index++) {
    const code = text.charCodeAt(index);
    if (code === DOT || code === AT) {
      if (previous === DOT || (at >= 0 && (previous === HYPHEN || code === AT))) return false;
      if (code === AT) at = index;
      length = 0;
      previous = DOT;
      continue;
    }
    if (code > 127) {
      if (at >= 0) return false;
    } else if (PLAIN[code]! < (at < 0 ? 1 : 2)) return false;
    if (code === HYPHEN && previous === DOT && (at >= 0 || index === 1)) return false;
    if (at >= 0 && code > 57) letters = true;
    if (++length > LABEL && at >= 0) return false;
    previous = code;
  }
  return at > 0 && letters && previous !== DOT && previous !== HYPHEN && text.length - at <= DOMAIN;
}

/** Tokens of one address: more than these are no address. */
const TOKENS = 100;

export interface PathOptions {
  /** Brackets must be there (strict_rfc821_envelopes). */
  readonly strict?: boolean;
  /** The domain may be UTF-8 (SMTPUTF8 was asked for). */
  readonly utf8?: boolean;
}

/**
 * Takes the word behind `FROM:` or `TO:`. The null address is empty. An address is refused where it is not one, where what
 * follows its last `@` cannot be a domain, and where it begins with a hyphen: a command could take it for an option.
 */
export function parseMailPath(word: string, { strict = false, utf8 = true }: PathOptions = {}): MailPath {
  const bracketed = word.startsWith('<') && word.endsWith('>');
  if (word === '<>') return { address: '', plain: true };
  if (bracketed && isPlainAddress(word)) {
    return { address: word.slice(1, -1), plain: true };
  }
  if (!bracketed && (strict || word.startsWith('<'))) return undefined;
  const inner = bracketed ? withoutRoute(word.slice(1, -1)) : word;
  const tree = parse(bracketed ? `<${inner}>` : inner, TOKENS);
  const found = tree.filter((token) => token.children !== undefined);
  if (found.length !== 1 || tree.some((token) => token.type === 'comment')) return undefined;
  const tokens = found[0]!.children ?? [];
  for (let at = 1; at < tokens.length; at++) {
    if (isWord(tokens[at]!) && isWord(tokens[at - 1]!)) return undefined;
    if (isAt(tokens[at]!) && isAt(tokens[at - 1]!)) return undefined;
  }
  if (tokens.some((token) => token.type === 'op' && (token.text === ',' || token.text === ';'))) return undefined;
  const address = internalize(tokens);
  return isSound(address, utf8) ? { address, plain: false } : undefined;
}

function isWord(token: Token): boolean {
  return token.type === 'atom' || token.type === 'quoted-string';
}

function isAt(token: Token): boolean {
  return token.type === 'op' && token.text === '@';
}

function isSound(address: string, utf8: boolean): boolean {
  if (address === '' || address.startsWith('-')) return false;
  const at = address.lastIndexOf('@');
  if (at < 0) return true;
  const domain = address.slice(at + 1);
  return isMailDomain(domain.endsWith('.') && domain.length > 1 ? domain.slice(0, -1) : domain, utf8);
}

/** `@relay1,@relay2:user@host` means user@host (RFC 5321 appendix C). */
function withoutRoute(path: string): string {
  if (!path.startsWith('@')) return path;
  const colon = path.indexOf(':');
  return colon < 0 ? path : path.slice(colon + 1);
}
