/**
 * Rewriting of addresses to standard form (trivial-rewrite(8), ADDRESS_REWRITING_README): source routes go, `site!user`
 * and `user%domain` become `user@domain`, incomplete addresses get an origin and incomplete domains their parent, and one
 * dot at the end of a domain goes.
 *
 * Pure: works on the tokens of one address.
 */
import { isComplete } from '../../lib/mail/complete-address.ts';
import { quote822Local } from '../../lib/mail/quote822.ts';
import {
  addressToken,
  externalize,
  internalize,
  isOperator,
  operator,
  scan,
  type Token,
} from '../../lib/mail/tok822.ts';

/** What a rewriting context appends; undefined where nothing is. */
export interface RewriteContext {
  /** myorigin, or remote_header_rewrite_domain. */
  readonly origin: string | undefined;
  /** mydomain, or remote_header_rewrite_domain; appended to a domain without a dot. */
  readonly parentDomain: string | undefined;
  readonly swapBangpath: boolean;
  readonly allowPercentHack: boolean;
}

/** Rewrites an address in internal form. */
export function rewriteAddress(context: RewriteContext, address: string): string {
  if (address === '' || isComplete(address)) return address;
  return internalize(rewriteTokens(context, scan(quote822Local(address))));
}

/** Rewrites an address in the form of message headers, where a route can be told from a quoted localpart. */
export function rewriteExternal(context: RewriteContext, address: string): string {
  if (isComplete(address)) return address;
  return externalize([addressToken(rewriteTokens(context, scan(address)))]);
}

/** Rewrites the tokens of one address, as `scan` finds them in its external form. */
export function rewriteTokens(context: RewriteContext, address: readonly Token[]): readonly Token[] {
  if (address.length === 0 || isEmptyAddress(address)) return address;
  // A lone @ is one of many ways to write the empty address.
  if (address.length === 1 && isOperator(address[0], '@')) return [];
  let tokens = stripSourceRoute(address);
  if (!hasDomain(tokens)) tokens = domainFromRoute(context, tokens);
  if (!hasDomain(tokens) && context.origin !== undefined) {
    tokens = [...tokens, operator('@'), ...scan(context.origin)];
  }
  if (context.parentDomain !== undefined && hasIncompleteDomain(tokens)) {
    tokens = [...tokens, operator('.'), ...scan(context.parentDomain)];
  }
  return stripTrailingDot(tokens);
}

/** Place of the @ in front of the domain, -1 where there is none. */
export function domainSeparator(tokens: readonly Token[]): number {
  return tokens.findLastIndex((token) => isOperator(token, '@'));
}

/** `""` and nothing else. */
function isEmptyAddress(tokens: readonly Token[]): boolean {
  return tokens.length === 1 && tokens[0]!.type === 'quoted-string' && tokens[0]!.text === '';
}

function hasDomain(tokens: readonly Token[]): boolean {
  return domainSeparator(tokens) >= 0;
}

/** `@site,@site:user@domain` becomes `user@domain`. */
function stripSourceRoute(tokens: readonly Token[]): readonly Token[] {
  if (!isOperator(tokens[0], '@')) return tokens;
  const colon = tokens.findIndex((token) => isOperator(token, ':'));
  return colon > 0 && colon < tokens.length - 1 ? tokens.slice(colon + 1) : tokens;
}

/** The domain of an address without @, from its first `!` or else its last `%`. */
function domainFromRoute(context: RewriteContext, tokens: readonly Token[]): readonly Token[] {
  if (context.swapBangpath) {
    const bang = tokens.findIndex((token) => isOperator(token, '!'));
    if (bang >= 0) return [...tokens.slice(bang + 1), operator('@'), ...tokens.slice(0, bang)];
  }
  if (context.allowPercentHack) {
    const percent = tokens.findLastIndex((token) => isOperator(token, '%'));
    if (percent >= 0) return tokens.with(percent, operator('@'));
  }
  return tokens;
}

/** A domain without a dot that is no address literal. The null domain of `user@` stays null. */
function hasIncompleteDomain(tokens: readonly Token[]): boolean {
  const at = domainSeparator(tokens);
  if (at < 0 || at === tokens.length - 1) return false;
  return !tokens.slice(at + 1).some((token) => isOperator(token, '.') || token.type === 'domain-literal');
}

/** `domain.` is `domain`; `domain..` and `@.` are errors that stay visible. */
export function stripTrailingDot(tokens: readonly Token[]): readonly Token[] {
  const before = tokens.at(-2);
  if (tokens.length < 2 || !isOperator(tokens.at(-1), '.')) return tokens;
  if (isOperator(before, '.') || isOperator(before, '@')) return tokens;
  return tokens.slice(0, -1);
}
