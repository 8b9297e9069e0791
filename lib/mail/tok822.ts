/**
 * Tokens and trees of RFC 822 addresses: the tolerant reader that understands what mail programs put in address headers,
 * and the writer that turns the tree back into text.
 *
 * The reader never fails. Text is cut in tokens from left to right; addresses are then recognised from right to left,
 * because only what stands on the right of a phrase (`<…>`, the `:` of a group) tells that it is one. Words that follow
 * each other without `.` or `@` between them are separate addresses, and a comma is put between them. Comments inside of
 * an address move behind it.
 *
 * Two forms of text: external (with quotes, as in headers) and internal (without, as in envelopes).
 *
 * Pure. Warnings go to a callback. Cost is linear in the length of the text; callers bound the number of tokens where
 * the text comes from outside (header_address_token_limit). RFC 5322 sections 3.2 and 3.4, with RFC 822's source routes.
 */
import { quote822Local } from './quote822.ts';

/** What a token is. `op` is a single character with a meaning; `address` and no other has children. */
export type TokenType = 'atom' | 'quoted-string' | 'domain-literal' | 'comment' | 'op' | 'group' | 'address';

/** A token; text is without quotes and brackets, but a comment keeps its parentheses and backslashes. */
export interface Token {
  readonly type: TokenType;
  readonly text: string;
  readonly children?: readonly Token[];
}

/** A token that stands for a mailbox. */
export interface AddressToken extends Token {
  readonly type: 'address';
  readonly children: readonly Token[];
}

/** How to write a tree in external form. */
export interface ExternalizeOptions {
  /** Begin a line after each comma, for headers. */
  readonly newlines?: boolean;
  /** Cut at the first newline of the data: for texts that must be one line. */
  readonly firstLineOnly?: boolean;
  /** Told what is cut or left out, one line each. */
  readonly warn?: (text: string) => void;
}

/** Characters that are a token of their own wherever they stand outside quotes, comments and literals. */
const OPERATORS = '|"(),:;<>@[].%!';

/**
 * Text beside the mailbox that is kept with it. Longer phrases and comments are dropped, since receivers of old were
 * attacked with them.
 */
const MAX_NON_ADDRESS_LENGTH = 250;

/** Makes an operator token. */
export function operator(char: string): Token {
  return { type: 'op', text: char };
}

/** Makes an address token. */
export function addressToken(children: readonly Token[]): AddressToken {
  return { type: 'address', text: '', children };
}

/** Is it this operator? */
export function isOperator(token: Token | undefined, char: string): boolean {
  return token !== undefined && token.type === 'op' && token.text === char;
}

/** Can the token stand between dots? */
export function isWord(token: Token | undefined): boolean {
  return (
    token !== undefined && (token.type === 'atom' || token.type === 'quoted-string' || token.type === 'domain-literal')
  );
}

function isSpace(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r' || char === '\f' || char === '\v';
}

/** Cuts external text in tokens. Reading stops after `limit` tokens. */
export function scan(text: string, limit: number = Number.POSITIVE_INFINITY): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  while (position < text.length && tokens.length < limit) {
    const char = text.charAt(position);
    if (isSpace(char)) {
      position++;
    } else if (char === '(') {
      const end = commentEnd(text, position);
      tokens.push({ type: 'comment', text: text.slice(position, end) });
      position = end;
    } else if (char === '"') {
      const [word, end] = delimited(text, position + 1, '"');
      tokens.push({ type: 'quoted-string', text: word });
      position = end;
    } else if (char === '[') {
      const [word, end] = delimited(text, position + 1, ']');
      tokens.push({ type: 'domain-literal', text: word });
      position = end;
    } else if (OPERATORS.includes(char)) {
      tokens.push(operator(char));
      position++;
    } else {
      const [word, end] = atom(text, position);
      // What a backslash hid would read back as something else.
      tokens.push({ type: NEEDS_QUOTES.test(word) ? 'quoted-string' : 'atom', text: word });
      position = end;
    }
  }
  return tokens;
}

/** Blanks, controls and operators. */
const NEEDS_QUOTES = /[\x00-\x20\x7f|"(),:;<>@[\].%!\\]/;

function commentEnd(text: string, start: number): number {
  let depth = 0;
  for (let position = start; position < text.length; position++) {
    const char = text.charAt(position);
    if (char === '\\') position++;
    else if (char === '(') depth++;
    else if (char === ')' && --depth === 0) return position + 1;
  }
  return text.length;
}

/** Text up to the closing character, backslashes removed. What is not closed ends with the text. */
function delimited(text: string, start: number, close: string): [word: string, end: number] {
  let word = '';
  let from = start;
  let position = start;
  for (; position < text.length; position++) {
    const char = text.charAt(position);
    if (char === close) return [onOneLine(word + text.slice(from, position)), position + 1];
    if (char === '\\') {
      word += text.slice(from, position);
      from = ++position;
    }
  }
  return [onOneLine(word + text.slice(from)), text.length];
}

/** Blanks of all kinds are spaces, so that no word spans lines. */
function onOneLine(word: string): string {
  return word.replace(/[\t\n\v\f\r]/g, ' ');
}

function atom(text: string, start: number): [word: string, end: number] {
  let word = '';
  let from = start;
  let position = start;
  for (; position < text.length; position++) {
    const char = text.charAt(position);
    if (isSpace(char) || OPERATORS.includes(char)) break;
    if (char === '\\') {
      word += text.slice(from, position);
      from = ++position;
    }
  }
  const end = Math.min(position, text.length);
  return [onOneLine(word + text.slice(from, end)), end];
}

/** Reads external text as a list of mailboxes and groups. */
export function parse(text: string, limit: number = Number.POSITIVE_INFINITY): Token[] {
  return parseTokens(scan(text, limit));
}

/** Recognises addresses, groups and phrases in tokens. */
export function parseTokens(tokens: readonly Token[]): Token[] {
  // Built from right to left, turned around at the end.
  const reversed: Token[] = [];
  let phrase: 'none' | 'mailbox' | 'group' = 'none';
  // A colon begins a group only where a semicolon ends one; elsewhere it is a character of an address.
  let inGroup = false;
  let position = tokens.length - 1;
  while (position >= 0) {
    const token = tokens[position]!;
    inGroup ||= isOperator(token, ';');
    if (isOperator(token, ',') || (phrase !== 'group' && endsMailboxPhrase(token, phrase, inGroup))) {
      phrase = 'none';
      reversed.push(token);
      position--;
    } else if (phrase === 'group') {
      reversed.push(token);
      position--;
    } else if (inGroup && isOperator(token, ':')) {
      phrase = 'group';
      reversed.push({ type: 'group', text: ':' });
      position--;
    } else if (isOperator(token, '>')) {
      position = routeAddress(tokens, position, reversed);
      phrase = 'mailbox';
    } else if (phrase === 'mailbox') {
      reversed.push(token);
      position--;
    } else {
      position = addressRun(tokens, position, inGroup, reversed);
    }
  }
  return reversed.reverse();
}

/** The name of a mailbox begins behind a semicolon, or behind a colon that is not that of a group. */
function endsMailboxPhrase(token: Token, phrase: 'none' | 'mailbox', inGroup: boolean): boolean {
  return isOperator(token, ';') || (phrase === 'mailbox' && !inGroup && isOperator(token, ':'));
}

/** `<…>`: all that stands between is one address, source route included. Returns the position left of it. */
function routeAddress(tokens: readonly Token[], close: number, reversed: Token[]): number {
  let open = close - 1;
  while (open >= 0 && !isOperator(tokens[open], '<')) open--;
  reversed.push(tokens[close]!);
  pushAddress(tokens.slice(open + 1, close), reversed);
  if (open >= 0) reversed.push(operator('<'));
  return open - 1;
}

/** Words outside of brackets: addresses, with the missing commas between them. Returns the position left of the run. */
function addressRun(tokens: readonly Token[], last: number, inGroup: boolean, reversed: Token[]): number {
  let end = last;
  let position = last;
  let wordOnTheRight = false;
  for (; position >= 0; position--) {
    const token = tokens[position]!;
    if (endsRun(token, inGroup)) break;
    if (token.type === 'comment') continue;
    const word = isWord(token);
    if (word && wordOnTheRight) {
      pushAddress(tokens.slice(position + 1, end + 1), reversed);
      reversed.push(operator(','));
      end = position;
    }
    wordOnTheRight = word;
  }
  const found = pushAddress(tokens.slice(position + 1, end + 1), reversed);
  const left = tokens[position];
  if (found && (isOperator(left, '>') || isOperator(left, ';'))) reversed.push(operator(','));
  return position;
}

function endsRun(token: Token, inGroup: boolean): boolean {
  if (token.type !== 'op') return false;
  return token.text === ',' || token.text === ';' || token.text === '>' || (inGroup && token.text === ':');
}

/** One address followed by the comments that stood in it. Comments alone make no address, and the answer is false. */
function pushAddress(tokens: readonly Token[], reversed: Token[]): boolean {
  const children: Token[] = [];
  const comments: Token[] = [];
  for (const token of tokens) (token.type === 'comment' ? comments : children).push(token);
  for (let index = comments.length - 1; index >= 0; index--) reversed.push(comments[index]!);
  if (children.length > 0) reversed.push(addressToken(children));
  return children.length > 0;
}

/** Internal form of a tree or of the children of an address: no quotes. */
export function internalize(tokens: readonly Token[]): string {
  let text = '';
  let previous: Token | undefined;
  for (const token of tokens) {
    if (needsSpace(previous, token)) text += ' ';
    text += internalText(token);
    previous = token;
  }
  return text;
}

function internalText(token: Token): string {
  if (token.children !== undefined) return internalize(token.children);
  return token.type === 'domain-literal' ? `[${token.text}]` : token.text;
}

/** External form of a tree: text that can stand in a header. */
export function externalize(tokens: readonly Token[], options: ExternalizeOptions = {}): string {
  let done = '';
  let entry = new Entry();
  let previous: Token | undefined;
  for (const token of tokens) {
    if (options.firstLineOnly && entry.text.includes('\n')) break;
    if (isOperator(token, ',')) {
      if (previous?.type === 'group') entry.text += ' ';
      done += entry.finish(options) + (options.newlines ? ',\n' : ', ');
      entry = new Entry();
      previous = undefined;
      continue;
    }
    if (needsSpace(previous, token)) entry.text += ' ';
    entry.add(token, previous);
    previous = token;
    if (token.type === 'group') {
      done += entry.text;
      entry = new Entry();
    }
  }
  return done + entry.finish(options);
}

/** The text of one mailbox with the words around it. */
class Entry {
  text = '';
  #address = '';

  add(token: Token, previous: Token | undefined): void {
    const text = externalText(token);
    if (token.type === 'address') this.#address = text;
    else if (isOperator(token, '>') && isOperator(previous, '<')) this.#address = '';
    this.text += text;
  }

  finish(options: ExternalizeOptions): string {
    if (options.firstLineOnly) this.text = this.text.split('\n', 1)[0]!;
    if (this.text.length - this.#address.length <= MAX_NON_ADDRESS_LENGTH) return this.text;
    options.warn?.(`stripping too many comments from address: ${this.text.slice(0, 100)}...`);
    return `<${this.#address}>`;
  }
}

function externalText(token: Token): string {
  switch (token.type) {
    case 'address':
      return quote822Local(internalize(token.children ?? []));
    case 'quoted-string':
      return quotedString(token.text);
    case 'domain-literal':
      return `[${token.text.replaceAll('\\', '\\\\')}]`;
    default:
      return token.text;
  }
}

function quotedString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Does a blank go between two tokens? */
function needsSpace(previous: Token | undefined, token: Token): boolean {
  if (previous === undefined) return false;
  if (isOperator(token, '<') || isOperator(previous, ',') || previous.type === 'group') return true;
  return token.type !== 'op' && token.type !== 'group' && previous.type !== 'op';
}

/** The mailboxes in a text, in internal form. Groups give their members, `<>` gives the empty string. */
export function parseAddressList(text: string, limit: number = Number.POSITIVE_INFINITY): string[] {
  const tree = parse(text, limit);
  const addresses: string[] = [];
  tree.forEach((token, index) => {
    if (token.children !== undefined) addresses.push(internalize(token.children));
    else if (isOperator(token, '>') && isOperator(tree[index - 1], '<')) addresses.push('');
  });
  return addresses;
}
