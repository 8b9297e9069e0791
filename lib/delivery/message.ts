/**
 * The message of a delivery request, as local(8), virtual(8) and pipe(8) look at it: its content, as often as it is
 * wanted, and the Delivered-To: headers that tell a forwarding loop.
 *
 * Loops are looked for in the first 256 KiB of the headers.
 */
import type { DeliveryRequest } from '../clients/protocols.ts';
import { headerValue, scanHeaders } from '../mail/headers.ts';
import { parseAddressList } from '../mail/tok822.ts';
import type { ContentReader } from '../queue/content.ts';
import { asciiFold } from '../util/case-fold.ts';

const HEADER_LIMIT = 262_144;
const END_OF_HEADERS = Buffer.from('\n\n');

export class Message {
  readonly #request: DeliveryRequest;
  readonly #reader: ContentReader;
  readonly #signal: AbortSignal;
  #deliveredTo: Promise<ReadonlySet<string>> | undefined;

  constructor(request: DeliveryRequest, reader: ContentReader, signal: AbortSignal) {
    this.#request = request;
    this.#reader = reader;
    this.#signal = signal;
  }

  /** The content from its beginning. */
  content(): AsyncIterable<Buffer> {
    return this.#reader.read(this.#request, this.#signal);
  }

  /** Was the message delivered to this address before? Letters count without regard to case. */
  async wasDeliveredTo(address: string): Promise<boolean> {
    this.#deliveredTo ??= this.#findDeliveredTo();
    return (await this.#deliveredTo).has(asciiFold(address));
  }

  async #findDeliveredTo(): Promise<ReadonlySet<string>> {
    const headers = await this.#headers();
    const found = new Set<string>();
    // Few messages have the header: most are done with one search of the text.
    if (!headers.toString('latin1').toLowerCase().includes('delivered-to:')) return found;
    for (const header of scanHeaders(headers).headers) {
      if (header.name !== 'delivered-to') continue;
      const value = Buffer.from(headerValue(headers, header), 'latin1').toString('utf8');
      for (const address of parseAddressList(value, 100)) found.add(asciiFold(address));
    }
    return found;
  }

  async #headers(): Promise<Buffer> {
    let headers: Buffer = Buffer.alloc(0);
    for await (const piece of this.content()) {
      headers = headers.length === 0 ? piece : Buffer.concat([headers, piece]);
      const end = headers.indexOf(END_OF_HEADERS);
      if (end >= 0) return headers.subarray(0, end + 1);
      if (headers.length >= HEADER_LIMIT) return headers.subarray(0, HEADER_LIMIT);
    }
    return headers;
  }
}
