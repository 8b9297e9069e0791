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

/** Splits `inet:host:port:name` or `unix:path:name`. */
function parseName(name: string): { endpoint: Endpoint; map: string } | undefined {
  const colon = name.lastIndexOf(':');
  if (colon < 0 || !/^(?:inet|unix):/.test(name)) return undefined;
  const endpoint = parseEndpoint(name.slice(0, colon));
  const map = name.slice(colon + 1);
  return endpoint === undefined || map === '' ? undefined : { endpoint, map };
}

export function openTableType(request: OpenRequest): Table {
  const parsed = parseName(request.name);
  if (parsed === undefined) {
    const need = 'need "socketmap:inet:host:port:name" or "socketmap:unix:path:name"';
    throw new TableOpenError(`bad socketmap name: "${request.name}"; ${need}`);
  }
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
