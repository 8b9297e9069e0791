/**
 * generic(5): addresses of this site become addresses that the outside knows, in the envelope and in the headers of mail
 * that leaves by SMTP (smtp_generic_maps, ADDRESS_REWRITING_README).
 *
 * Rejects with TableError where a table does not answer. Logs a table whose result is several addresses; the first counts.
 * Headers are rewritten as far as they lie in the first 256 KiB.
 */
import type { TrivialRewrite } from '../../lib/clients/protocols.ts';
import { ownAddresses } from '../../lib/config/own-addresses.ts';
import type { Configuration } from '../../lib/config/settings.ts';
import { completed } from '../../lib/mail/complete-address.ts';
import { addressHeaderKind, mapHeaderAddresses } from '../../lib/mail/header-addresses.ts';
import { scanHeaders } from '../../lib/mail/headers.ts';
import type { ContentReader, ContentSource } from '../../lib/queue/content.ts';
import { type AddressMappingOptions, mapAddress } from '../../lib/tables/address-lookup.ts';
import { LocalDomains } from '../../lib/tables/local-domains.ts';
import { localSite } from '../../lib/tables/local-site.ts';
import type { Maps } from '../../lib/tables/maps.ts';
import { openMaps } from '../../lib/tables/open.ts';
import type { TableContext } from '../../lib/tables/table.ts';
import { decodeBytes, encodeBytes } from '../../lib/util/byte-text.ts';

export const GENERIC_PARAMETERS = [
  'header_address_token_limit',
  'mydestination',
  'myorigin',
  'parent_domain_matches_subdomains',
  'propagate_unmatched_extensions',
  'recipient_delimiter',
];

const HEADER_LIMIT = 262_144;
const END_OF_HEADERS = Buffer.from('\n\n');

export interface GenericContext {
  readonly maps: Maps;
  readonly lookup: AddressMappingOptions;
  /** header_address_token_limit */
  readonly tokenLimit: number;
  warn(text: string): void;
}

/** Opens the tables of `parameter`; undefined where it names none. */
export async function openGeneric(
  configuration: Configuration,
  parameter: string,
  tables: TableContext,
  rewrite: () => TrivialRewrite,
): Promise<(GenericContext & AsyncDisposable) | undefined> {
  const specs = configuration.text(parameter);
  if (specs === '') return undefined;
  const client = rewrite();
  const maps = await openMaps(parameter, specs, tables);
  const localDomains = await LocalDomains.open(
    { mydestination: configuration.text('mydestination'), ownAddresses: await ownAddresses(configuration) },
    tables,
    { parentDomains: configuration.list('parent_domain_matches_subdomains').includes('mydestination') },
  );
  return {
    maps,
    lookup: {
      recipientDelimiter: configuration.text('recipient_delimiter'),
      propagateExtension: configuration.list('propagate_unmatched_extensions').includes('generic'),
      isLocalDomain: localSite(configuration.text('myorigin'), localDomains),
      canonicalize: (address) => completed(client, 'local', address),
    },
    tokenLimit: configuration.integer('header_address_token_limit'),
    warn: (text) => tables.warn(text),
    async [Symbol.asyncDispose]() {
      await maps[Symbol.asyncDispose]();
      await localDomains[Symbol.asyncDispose]();
    },
  };
}

/** What the outside knows an address as, both in internal form; undefined where the tables do not say. */
export async function mapGeneric(context: GenericContext, address: string): Promise<string | undefined> {
  const found = await mapAddress(context.maps, address, context.lookup);
  if (found === undefined) return undefined;
  if (found.length > 1) context.warn(`multi-valued ${context.maps.parameter} entry for ${address}`);
  return found[0];
}

/** Content that begins with the headers of the message, with their addresses mapped. */
export async function mapHeaders(context: GenericContext, content: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  let from = 0;
  for (const header of scanHeaders(content, HEADER_LIMIT).headers) {
    if (addressHeaderKind(header.name) === undefined) continue;
    const text = decodeBytes(content.subarray(header.valueStart, header.end));
    const name = content.toString('latin1', header.start, header.nameEnd);
    const map = async (address: string): Promise<string> => (await mapGeneric(context, address)) ?? address;
    const mapped = await mapHeaderAddresses(name, text, map, {
      tokenLimit: context.tokenLimit,
      warn: (problem) => context.warn(problem),
    });
    if (mapped === undefined) continue;
    parts.push(content.subarray(from, header.start), encodeBytes(mapped));
    from = header.end;
  }
  if (parts.length === 0) return content;
  parts.push(content.subarray(from));
  return Buffer.concat(parts);
}

/** The same content with mapped headers. */
export class GenericContent implements ContentReader {
  readonly #context: GenericContext;
  readonly #reader: ContentReader;

  constructor(context: GenericContext, reader: ContentReader) {
    this.#context = context;
    this.#reader = reader;
  }

  async *read(source: ContentSource, signal?: AbortSignal): AsyncGenerator<Buffer> {
    let head: Buffer | undefined = Buffer.alloc(0);
    for await (const piece of this.#reader.read(source, signal)) {
      if (head === undefined) {
        yield piece;
        continue;
      }
      head = head.length === 0 ? piece : Buffer.concat([head, piece]);
      if (head.length < HEADER_LIMIT && !head.includes(END_OF_HEADERS)) continue;
      yield await mapHeaders(this.#context, head);
      head = undefined;
    }
    if (head !== undefined && head.length > 0) yield await mapHeaders(this.#context, head);
  }
}
