/**
 * One request and one reply at a time over a kept connection to a TCP or Unix-domain server: the ground of `tcp:`,
 * `socketmap:` and `memcache:`. A connection that broke while idle is opened anew once; every exchange has a time limit, replies
 * and waiting requests are bounded, and idle connections end.
 */
import { connect, type Socket } from 'node:net';
import { parseHostPort } from '../util/host-port.ts';
import { systemErrorText } from './file-value.ts';
import { TableError } from './table.ts';

export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

/** What a parser makes of the bytes that came so far: a reply and its length, or undefined for "more is needed". */
export type ReplyParser<T> = (received: Buffer) => { readonly value: T; readonly length: number } | undefined;

export interface SocketClientOptions {
  readonly endpoint: Endpoint;
  /** Longest reply in bytes. */
  readonly maxReply: number;
  /** For connecting and for each exchange. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** `inet:host:port`, `host:port` or `unix:/path`; undefined where the text is neither. */
export function parseEndpoint(text: string, defaultPort?: string): Endpoint | undefined {
  if (text.startsWith('unix:')) return { path: text.slice(5) };
  const parsed = parseHostPort(text.replace(/^inet:/, ''), defaultPort === undefined ? {} : { service: defaultPort });
  if ('error' in parsed || !/^\d+$/.test(parsed.port)) return undefined;
  return { host: parsed.host, port: Number(parsed.port) };
}

const MAX_WAITING = 1000;
const IDLE_MS = 10_000;

export class SocketClient {
  readonly #options: SocketClientOptions;
  #socket: Socket | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: SocketClientOptions) {
    this.#options = options;
  }

  /** Sends a request and resolves to the parsed reply. Rejects with TableError. */
  async exchange<T>(request: Buffer, parse: ReplyParser<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) throw new TableError('too many lookups are waiting');
    this.#waiting += 1;
    const turn = this.#last.then(() => this.#run(request, parse));
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } catch (error) {
      throw error instanceof TableError ? error : new TableError(systemErrorText(error));
    } finally {
      this.#waiting -= 1;
    }
  }

  async #run<T>(request: Buffer, parse: ReplyParser<T>): Promise<T> {
    this.#options.signal.throwIfAborted();
    const kept = this.#socket;
    if (kept !== undefined && !kept.destroyed) {
      try {
        return await this.#once(kept, request, parse);
      } catch {
        // The server may have closed the connection while it was idle; a fresh one decides.
        kept.destroy();
      }
    }
    const socket = await this.#connect();
    this.#socket = socket;
    return await this.#once(socket, request, parse);
  }

  #connect(): Promise<Socket> {
    const { endpoint, timeoutMs, signal } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = connect({ ...endpoint, signal });
      const fail = (error: Error): void => {
        socket.destroy();
        reject(error);
      };
      socket.setTimeout(timeoutMs, () => fail(new Error('connection timed out')));
      socket.once('error', fail);
      socket.once('connect', () => {
        socket.off('error', fail);
        socket.setTimeout(0);
        socket.removeAllListeners('timeout');
        // Errors while idle show in the next exchange.
        socket.on('error', () => socket.destroy());
        resolve(socket);
      });
    });
  }

  #once<T>(socket: Socket, request: Buffer, parse: ReplyParser<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      const finish = (settle: () => void, keep: boolean): void => {
        socket.removeAllListeners('data');
        socket.removeAllListeners('close');
        socket.removeAllListeners('timeout');
        if (keep) {
          socket.setTimeout(IDLE_MS, () => socket.destroy());
          socket.unref();
        } else socket.destroy();
        settle();
      };
      const fail = (text: string): void => finish(() => reject(new Error(text)), false);
      socket.ref();
      socket.setTimeout(this.#options.timeoutMs, () => fail('no reply in time'));
      socket.on('close', () => fail('connection lost'));
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        try {
          const reply = parse(received);
          if (reply === undefined) {
            if (received.length > this.#options.maxReply) fail('reply is too long');
          } else finish(() => resolve(reply.value), reply.length === received.length);
        } catch (error) {
          fail((error as Error).message);
        }
      });
      socket.write(request);
    });
  }

  close(): void {
    this.#socket?.destroy();
  }
}
