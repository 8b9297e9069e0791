/**
 * Addresses in message headers: which headers hold them, and the rewriting of each address in the text of one
 * (ADDRESS_REWRITING_README, "Rewriting message headers").
 *
 * Side effects: none of its own; the caller's mapping may look things up, and what it throws passes.
 */
import { quote822Local } from './quote822.ts';
import { type AddressToken, externalize, internalize, parse, scan, type Token } from './tok822.ts';

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
}

/**
 * Maps each address in the text of a header, from internal form to internal form. Returns the text with a line for each
 * address, indented; or undefined where no address changed, so that the header can stay byte for byte.
 */
export async function mapHeaderAddresses(
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
    const address = internalize(token.children);
    const result = await map(address);
    if (result === address) {
      mapped.push(token);
    } else {
      changed = true;
      mapped.push({ type: 'address', text: '', children: scan(quote822Local(result)) } satisfies AddressToken);
    }
  }
  if (!changed) return undefined;
  const warn = options.warn === undefined ? {} : { warn: options.warn };
  return externalize(mapped, { newlines: true, ...warn }).replaceAll('\n', '\n\t');
}
