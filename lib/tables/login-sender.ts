/**
 * Which envelope senders a login name may use: tables by login name that give a list of patterns, separated by blanks or
 * commas. A pattern is an address, `@domain`, the wildcard for any sender, or the name of the null sender. Letter case and
 * the extension of the sender do not count. See postconf(5), local_login_sender_maps.
 *
 * Rejects with TableError where a table cannot answer.
 */
import { unquote822Local } from '../mail/quote822.ts';
import { stripAddress } from '../mail/strip-address.ts';
import { caseFold } from '../util/case-fold.ts';
import type { Maps } from './maps.ts';

export interface LoginSenderOptions {
  readonly recipientDelimiter: string;
  /** The pattern that stands for the empty sender. */
  readonly nullSender: string;
  /** The pattern that any sender matches. */
  readonly wildcard: string;
}

/** May the user send as `sender`, an address in internal form? A login that no table has may not. */
export async function mayUseSender(
  maps: Maps,
  login: string,
  sender: string,
  options: LoginSenderOptions,
): Promise<boolean> {
  const list = await maps.lookup(login);
  if (list === undefined) return false;
  const wanted = senderForms(sender, options);
  return patterns(list).some(
    (pattern) => pattern === options.wildcard || wanted.has(caseFold(unquote822Local(pattern))),
  );
}

/** Everything that a pattern may say of the sender, folded. */
function senderForms(sender: string, options: LoginSenderOptions): ReadonlySet<string> {
  if (sender === '') return new Set([caseFold(options.nullSender)]);
  const whole = stripAddress(sender, options.recipientDelimiter)?.stripped ?? sender;
  const at = whole.lastIndexOf('@');
  return new Set([whole, sender, ...(at < 0 ? [] : [whole.slice(at)])].map((form) => caseFold(form)));
}

/** Words separated by blanks and commas, those in double quotes aside. */
function patterns(list: string): string[] {
  return list.match(/(?:"(?:[^"\\]|\\.)*"?|[^\s,"])+/g) ?? [];
}
