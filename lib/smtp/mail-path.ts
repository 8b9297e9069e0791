/**
 * The address of MAIL FROM and RCPT TO (RFC 5321 section 4.1.2) in internal form: without brackets, source route and
 * quotes. What Postfix forgives is forgiven unless `strict`: missing brackets, blanks and comments.
 *
 * Pure. The common form, a dot-atom at a host name in brackets, is recognised without taking the address apart.
 */
import { parseAddressList } from '../mail/tok822.ts';

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

/** Takes the word behind `FROM:` or `TO:`. The null address is empty. */
export function parseMailPath(word: string, strict = false): MailPath {
  const bracketed = word.startsWith('<') && word.endsWith('>');
  if (bracketed && isPlainAddress(word)) return { address: word.slice(1, -1), plain: true };
  if (word === '<>') return { address: '', plain: true };
  if (strict && !bracketed) return undefined;
  const inner = bracketed ? word.slice(1, -1) : word;
  const addresses = parseAddressList(bracketed ? `<${withoutRoute(inner)}>` : word, TOKENS);
  if (addresses.length !== 1) return undefined;
  const address = addresses[0]!;
  if (address === '' && inner.trim() !== '') return undefined;
  return { address, plain: false };
}

/** `@relay1,@relay2:user@host` means user@host (RFC 5321 appendix C). */
function withoutRoute(path: string): string {
  if (!path.startsWith('@')) return path;
  const colon = path.indexOf(':');
  return colon < 0 ? path : path.slice(colon + 1);
}
