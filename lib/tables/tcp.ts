/** `tcp:host:port`: the line protocol of tcp_table(5). */
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';
import { FixedTable } from './fixed-table.ts';
import type { OpenRequest } from './open.ts';
import { parseEndpoint, SocketClient } from './socket-client.ts';
import { type LookupResult, type Table, TableError, TableOpenError, UNSPECIFIED_OWNER } from './table.ts';

const MAX_REPLY = 4096;
const TIMEOUT_MS = 100_000;

class TcpTable extends FixedTable {
  override readonly partialKeys = false;
  readonly #client: SocketClient;

  constructor(request: OpenRequest, client: SocketClient) {
    super(request.type, request.name, UNSPECIFIED_OWNER, request.context, request.flags);
    this.#client = client;
  }

  protected async find(key: string): Promise<LookupResult> {
    const line = await this.#client.exchange(Buffer.from(`get ${encodeWord(key)}\n`, 'latin1'), readLine);
    const [, status, text = ''] = /^(\d{3})(?:[ \t]+(.*))?$/s.exec(line) ?? [];
    if (status === '500') return undefined;
    if (status === '200') return decodeWord(text);
    const problem = status === '400' ? decodeWord(text) : `unexpected reply: ${line.slice(0, 100)}`;
    this.context.warn(`tcp:${this.name}: lookup error for "${key}": ${problem}`);
    throw new TableError(problem);
  }

  override close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}

function readLine(received: Buffer): { value: string; length: number } | undefined {
  const end = received.indexOf(0x0a);
  return end < 0 ? undefined : { value: received.toString('latin1', 0, end).replace(/\r$/, ''), length: end + 1 };
}

/** `%`, white space and what does not print become `%XX`. */
function encodeWord(text: string): string {
  let encoded = '';
  for (const byte of encodeBytes(text)) {
    const plain = byte > 0x20 && byte < 0x7f && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

function decodeWord(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw new TableError('bad encoding in reply');
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decodeBytes(Buffer.from(bytes, 'latin1'));
}

export function openTableType(request: OpenRequest): Table {
  const endpoint = parseEndpoint(request.name);
  if (endpoint === undefined) throw new TableOpenError(`bad tcp table name: "${request.name}"; need "tcp:host:port"`);
  const { signal } = request.context;
  return new TcpTable(request, new SocketClient({ endpoint, maxReply: MAX_REPLY, timeoutMs: TIMEOUT_MS, signal }));
}
