/** `socketmap:inet:host:port:name` and `socketmap:unix:path:name`: Sendmail's protocol over netstrings (socketmap_table(5)). */
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { type Endpoint, parseEndpoint, SocketClient } from './socket-client.ts';
import { type LookupResult, type Table, TableError, TableOpenError, UNSPECIFIED_OWNER } from './table.ts';

const MAX_REPLY = 100_000;
const TIMEOUT_MS = 100_000;

class SocketmapTable extends FixedTable {
  override readonly partialKeys = false;
  readonly #client: SocketClient;
  readonly #map: string;

  constructor(request: OpenRequest, client: SocketClient, map: string) {
    super(request.type, request.name, UNSPECIFIED_OWNER, request.context, request.flags);
    this.#client = client;
    this.#map = map;
  }

  protected async find(key: string): Promise<LookupResult> {
    const reply = await this.#client.exchange(netstring(`${this.#map} ${key}`), readNetstring);
    const blank = reply.indexOf(' ');
    const status = blank < 0 ? reply : reply.slice(0, blank);
    const text = blank < 0 ? '' : reply.slice(blank + 1);
    if (status === 'OK') return text;
    if (status === 'NOTFOUND') return undefined;
    const known = status === 'TEMP' || status === 'TIMEOUT' || status === 'PERM';
    const kind = status === 'PERM' ? 'permanent' : status === 'TIMEOUT' ? 'timeout' : 'temporary';
    const problem = known ? `${kind} error: ${text}` : `unexpected reply: ${reply.slice(0, 100)}`;
    this.context.warn(`socketmap:${this.name}: lookup error for "${key}": ${problem}`);
    throw new TableError(problem);
  }

  override close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}

function netstring(text: string): Buffer {
  const bytes = encodeBytes(text);
  return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(',')]);
}

function readNetstring(received: Buffer): { value: string; length: number } | undefined {
  const [head] = /^\d{1,7}(?=:)/.exec(received.toString('latin1', 0, 8)) ?? [];
  if (head === undefined) {
    if (/^\d{0,7}$/.test(received.toString('latin1', 0, 8))) return undefined;
    throw new TableError('reply is no netstring');
  }
  const length = Number(head);
  if (length > MAX_REPLY) throw new TableError('reply is too long');
  const start = head.length + 1;
  if (received.length < start + length + 1) return undefined;
  if (received[start + length] !== 0x2c) throw new TableError('reply is no netstring');
  return { value: decodeBytes(received.subarray(start, start + length)), length: start + length + 1 };
}

/** Splits `inet:host:port:name` or `unix:path:name`. Throws TableOpenError. */
function parseName(name: string): { endpoint: Endpoint; map: string } {
  const colon = name.lastIndexOf(':');
  if (colon < 0) throw new TableOpenError('socketmap requires server:socketmap argument');
  const server = name.slice(0, colon);
  if (!server.includes(':')) throw new TableOpenError(`need service transport:endpoint instead of "${server}"`);
  const transport = server.slice(0, server.indexOf(':'));
  if (transport !== 'inet' && transport !== 'unix')
    throw new TableOpenError(`invalid transport name: ${transport} in service: ${server}`);
  const endpoint = parseEndpoint(server);
  if (endpoint !== undefined) return { endpoint, map: name.slice(colon + 1) };
  const need = 'need "socketmap:inet:host:port:name" or "socketmap:unix:path:name"';
  throw new TableOpenError(`bad socketmap name: "${name}"; ${need}`);
}

export function openTableType(request: OpenRequest): Table {
  const parsed = parseName(request.name);
  const { signal } = request.context;
  // The netstring's own length and comma come on top of the reply.
  const client = new SocketClient({
    endpoint: parsed.endpoint,
    maxReply: MAX_REPLY + 10,
    timeoutMs: TIMEOUT_MS,
    signal,
  });
  return new SocketmapTable(request, client, parsed.map);
}
