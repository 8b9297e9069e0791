/**
 * Addresses in message headers: which headers hold them, and the rewriting of each address in the text of one
 * (ADDRESS_REWRITING_README, "Rewriting message headers").
 *
 * Side effects: none of its own; the caller's mapping may look things up, and what it throws passes.
 */
import { encodeBytes } from '../util/byte-text.ts';
import { quote822Local } from './quote822.ts';
import { addressToken, externalize, internalize, parse, scan, type Token } from './tok822.ts';

/** Does a header name senders or recipients? The names are in lower case. */
const ADDRESS_HEADERS: ReadonlyMap<string, 'sender' | 'recipient'> = new Map([
  ['apparently-to', 'recipient'],
  ['bcc', 'recipient'],
  ['cc', 'recipient'],
  ['disposition-notification-to', 'sender'],
  ['errors-to', 'sender'],
  ['from', 'sender'],
  ['mail-followup-to', 'sender'],
  ['reply-to', 'sender'],
  ['resent-bcc', 'recipient'],
  ['resent-cc', 'recipient'],
  ['resent-from', 'sender'],
  ['resent-reply-to', 'sender'],
  ['resent-sender', 'sender'],
  ['resent-to', 'recipient'],
  ['return-receipt-to', 'sender'],
  ['sender', 'sender'],
  ['to', 'recipient'],
]);

/** Whose addresses a header holds; undefined where it holds none that are rewritten. */
export function addressHeaderKind(lowerCaseName: string): 'sender' | 'recipient' | undefined {
  return ADDRESS_HEADERS.get(lowerCaseName);
}

/** How a header's addresses are read and written. */
export interface HeaderAddressOptions {
  /** header_address_token_limit: what stands behind so many tokens is lost when the header is rewritten. */
  readonly tokenLimit: number;
  readonly warn?: (text: string) => void;
  /** Brings an address to standard form before it is mapped: from external form to external form, routes and all. */
  readonly complete?: (external: string) => string | Promise<string>;
}

/** A line of a header takes the next address while it stays shorter than this, blanks included. */
const LINE_LENGTH = 70;

/**
 * Maps each address in the text of a header, from internal form to internal form. Returns the text of the whole header,
 * folded between addresses; or undefined where no address changed, so that the header can stay byte for byte.
 */
export async function mapHeaderAddresses(
  name: string,
  text: string,
  map: (address: string) => string | Promise<string>,
  options: HeaderAddressOptions,
): Promise<string | undefined> {
  const tree = parse(text, options.tokenLimit);
  let changed = false;
  const mapped: Token[] = [];
  for (const token of tree) {
    if (token.children === undefined) {
      mapped.push(token);
      continue;
    }
    const result = await mapOne(token.children, map, options);
    changed ||= result !== token.children;
    mapped.push(result === token.children ? token : addressToken(result));
  }
  if (!changed) return undefined;
  const warn = options.warn === undefined ? {} : { warn: options.warn };
  return fold(`${name}: ${externalize(mapped, { newlines: true, ...warn })}`);
}

/** The tokens of the mapped address; the same array where nothing changed. */
async function mapOne(
  children: readonly Token[],
  map: (address: string) => string | Promise<string>,
  options: HeaderAddressOptions,
): Promise<readonly Token[]> {
  let tokens = withoutGaps(children);
  if (options.complete !== undefined) {
    const external = externalize(tokens);
    // A backslash that hides nothing is a word without text.
    const completed = external === '' ? external : await options.complete(external);
    if (completed !== external) tokens = scan(completed);
  }
  const address = internalize(tokens);
  const result = await map(address);
  return result === address ? tokens : scan(quote822Local(result));
}

/** Atoms that stand beside each other within an address are one that was torn apart. */
function withoutGaps(children: readonly Token[]): readonly Token[] {
  const joined: Token[] = [];
  for (const token of children) {
    const last = joined.at(-1);
    if (token.type === 'atom' && last?.type === 'atom')
      joined[joined.length - 1] = { ...last, text: last.text + token.text };
    else joined.push(token);
  }
  return joined.length === children.length ? children : joined;
}

function octets(line: string): number {
  return /[^\x00-\x7f]/.test(line) ? encodeBytes(line).length : line.length;
}

/** Puts lines together as far as they fit; each line but the first begins with a blank, its own or a tab. */
function fold(header: string): string {
  const lines: string[] = [];
  for (const line of header.split('\n')) {
    const last = lines.at(-1);
    if (last !== undefined && octets(last) + 1 + octets(line) < LINE_LENGTH)
      lines[lines.length - 1] = `${last} ${line}`;
    else lines.push(line);
  }
  return lines.map((line, index) => (index === 0 || /^\s/.test(line) ? line : `\t${line}`)).join('\n');
}
