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

/** Characters that stand for themselves in both parts of an address: by code below 128. */
const PLAIN = new Uint8Array(128);
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=/#$*?^`{|}~'&") {
  PLAIN[char.charCodeAt(0)] = 1;
}

const AT = 64;
const DOT = 46;

/** `user@domain` between brackets with nothing to unquote. Beyond ASCII everything is plain. */
function isPlainAddress(text: string): boolean {
  let at = -1;
  let afterDot = true;
  for (let index = 1; index < text.length - 1; index++) {
    const code = text.charCodeAt(index);
    if (code === DOT) {
      if (afterDot) return false;
      afterDot = true;
    } else if (code === AT) {
      if (at >= 0 || afterDot) return false;
      at = index;
      afterDot = true;
    } else if (code < 128 && PLAIN[code] === 0) return false;
    else afterDot = false;
  }
  return at > 0 && !afterDot;
}

/** Tokens of one address: more than these are no address. */
const TOKENS = 100;

/**
 * Takes the word behind `FROM:` or `TO:`. The null address is empty. An address is refused where it is not one, where what
 * follows its last `@` cannot be a domain, and where it begins with a hyphen: a command could take it for an option.
 */
export function parseMailPath(word: string, strict = false): MailPath {
  const bracketed = word.startsWith('<') && word.endsWith('>');
  if (word === '<>') return { address: '', plain: true };
  if (bracketed && isPlainAddress(word)) {
    const address = word.slice(1, -1);
    return isSound(address) ? { address, plain: true } : undefined;
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
  return isSound(address) ? { address, plain: false } : undefined;
}

function isWord(token: Token): boolean {
  return token.type === 'atom' || token.type === 'quoted-string';
}

function isAt(token: Token): boolean {
  return token.type === 'op' && token.text === '@';
}

function isSound(address: string): boolean {
  if (address === '' || address.startsWith('-')) return false;
  const at = address.lastIndexOf('@');
  if (at < 0) return true;
  const domain = address.slice(at + 1);
  return isMailDomain(domain.endsWith('.') && domain.length > 1 ? domain.slice(0, -1) : domain);
}

/** `@relay1,@relay2:user@host` means user@host (RFC 5321 appendix C). */
function withoutRoute(path: string): string {
  if (!path.startsWith('@')) return path;
  const colon = path.indexOf(':');
  return colon < 0 ? path : path.slice(colon + 1);
}
