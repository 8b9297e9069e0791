/**
 * `memcache:/path.cf`: a memcached server, with another table as its persistent backup where one is named
 * (memcache_table(5)). What the backup knows is put into memcached on its way.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { decodeBytes, encodeBytes } from '../util/byte-text.ts';
import { ClientSettings } from './client-settings.ts';
import { FixedTable } from './fixed-table.ts';
import { checkTemplate, expandTemplate, KeyFilter } from './key-expansion.ts';
import { type OpenRequest, openTable } from './open.ts';
import { parseEndpoint, SocketClient } from './socket-client.ts';
import {
  isWritable,
  type LookupResult,
  type Table,
  TableError,
  TableOpenError,
  TRUSTED_OWNER,
  type WritableTable,
} from './table.ts';

/** memcached's own limit. */
const MAX_KEY = 250;

interface MemcacheParts {
  readonly client: SocketClient;
  readonly backup: Table | undefined;
  readonly filter: KeyFilter;
  readonly keyFormat: string;
  readonly flags: number;
  readonly ttl: number;
  readonly dataSizeLimit: number;
  readonly maxTry: number;
  readonly retryPauseMs: number;
}

class MemcacheTable extends FixedTable implements WritableTable {
  readonly #parts: MemcacheParts;

  constructor(request: OpenRequest, parts: MemcacheParts) {
    super(request.type, request.name, parts.backup?.owner ?? TRUSTED_OWNER, request.context, request.flags);
    this.#parts = parts;
  }

  protected async find(key: string): Promise<LookupResult> {
    const { backup, filter } = this.#parts;
    if (!(await filter.accepts(key))) return undefined;
    const cached = await this.#get(key);
    if (cached !== undefined || backup === undefined) return cached;
    const value = await backup.lookup(key);
    if (value !== undefined) await this.#set(key, value);
    return value;
  }

  async put(key: string, value: string): Promise<void> {
    const { backup } = this.#parts;
    if (backup !== undefined && isWritable(backup)) await backup.put(key, value);
    await this.#set(key, value);
  }

  async delete(key: string): Promise<boolean> {
    const { backup, client } = this.#parts;
    const known = backup !== undefined && isWritable(backup) ? await backup.delete(key) : false;
    const name = this.#name(key);
    if (name === undefined) return known;
    const reply = await client.exchange(Buffer.concat([Buffer.from('delete '), name, CRLF]), readLine);
    return known || reply === 'DELETED';
  }

  entries(): AsyncIterable<readonly [string, string]> | Iterable<readonly [string, string]> {
    const listed = this.#parts.backup?.entries?.();
    if (listed === undefined) throw new TableError('a backup that can be listed is needed');
    return listed;
  }

  /** The key as memcached takes it; undefined where it cannot be sent. */
  #name(key: string): Buffer | undefined {
    const text = expandTemplate(this.#parts.keyFormat, key, (part) => part);
    if (text === undefined || /[\x00-\x20\x7f]/.test(text)) return undefined;
    const bytes = encodeBytes(text);
    return bytes.length > MAX_KEY ? undefined : bytes;
  }

  /** The cached value. A server that does not answer counts as empty where there is a backup. */
  async #get(key: string): Promise<LookupResult> {
    const name = this.#name(key);
    if (name === undefined) return undefined;
    const request = Buffer.concat([Buffer.from('get '), name, CRLF]);
    return await this.#withRetries(
      async () => await this.#parts.client.exchange(request, (bytes) => this.#readValue(bytes)),
    );
  }

  async #set(key: string, value: string): Promise<void> {
    const name = this.#name(key);
    const { flags, ttl, dataSizeLimit, client } = this.#parts;
    const data = encodeBytes(value);
    if (name === undefined || data.length > dataSizeLimit) return;
    const head = Buffer.from(` ${flags} ${ttl} ${data.length}\r\n`);
    const request = Buffer.concat([Buffer.from('set '), name, head, data, CRLF]);
    await this.#withRetries(async () => {
      const reply = await client.exchange(request, readLine);
      if (reply !== 'STORED') throw new TableError(`memcached answers: ${reply.slice(0, 100)}`);
      return undefined;
    });
  }

  async #withRetries(attempt: () => Promise<LookupResult>): Promise<LookupResult> {
    const { maxTry, retryPauseMs, backup } = this.#parts;
    for (let count = 1; ; count++) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof TableError)) throw error;
        this.context.warn(`memcache:${this.name}: ${error.message}`);
        if (backup !== undefined) return undefined;
        if (count >= maxTry) throw error;
        await delay(retryPauseMs, undefined, { signal: this.context.signal });
      }
    }
  }

  /** `VALUE key flags bytes`, the data, `END`; or `END` alone. */
  #readValue(received: Buffer): { value: LookupResult; length: number } | undefined {
    const line = readLine(received);
    if (line === undefined) return undefined;
    if (line.value === 'END') return { value: undefined, length: line.length };
    const size = /^VALUE \S+ \d+ (\d+)(?: \d+)?$/.exec(line.value)?.[1];
    if (size === undefined) throw new TableError(`memcached answers: ${line.value.slice(0, 100)}`);
    if (Number(size) > this.#parts.dataSizeLimit) throw new TableError('value is larger than data_size_limit');
    const end = line.length + Number(size);
    const length = end + '\r\nEND\r\n'.length;
    if (received.length < length) return undefined;
    return { value: decodeBytes(received.subarray(line.length, end)), length };
  }

  override async close(): Promise<void> {
    this.#parts.client.close();
    await this.#parts.filter.close();
    await this.#parts.backup?.close();
  }
}

const CRLF = Buffer.from('\r\n');

function readLine(received: Buffer): { value: string; length: number } | undefined {
  const end = received.indexOf(CRLF);
  return end < 0 ? undefined : { value: received.toString('latin1', 0, end), length: end + 2 };
}

export async function openTableType(request: OpenRequest): Promise<Table> {
  const { context, flags } = request;
  const settings = ClientSettings.read(request);
  const address = settings.text('memcache', 'inet:localhost:11211');
  const endpoint = parseEndpoint(address, '11211');
  if (endpoint === undefined)
    throw new TableOpenError(`${settings.source}: bad memcache: "${address}"; need "inet:host:port"`);
  const keyFormat = settings.text('key_format', '%s');
  checkTemplate(keyFormat, `${settings.source}: key_format`);
  const dataSizeLimit = settings.integer('data_size_limit', 10240, 1);
  const maxReply = dataSizeLimit + settings.integer('line_size_limit', 1024, 1);
  const timeoutMs = settings.integer('timeout', 2, 1) * 1000;
  const backup = settings.text('backup');
  return new MemcacheTable(request, {
    client: new SocketClient({ endpoint, maxReply, timeoutMs, signal: context.signal }),
    backup: backup === '' ? undefined : await openTable(backup, context, flags),
    filter: await KeyFilter.open(request, settings.text('domain')),
    keyFormat,
    flags: settings.integer('flags', 0),
    ttl: settings.integer('ttl', 3600),
    dataSizeLimit,
    maxTry: settings.integer('max_try', 2, 1),
    retryPauseMs: settings.integer('retry_pause', 1, 1) * 1000,
  });
}
