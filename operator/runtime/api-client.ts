/**
 * Requests to the API server as plain JSON: reads, server-side apply, deletions, watches. Addresses and credentials are those
 * of @kubernetes/client-node's KubeConfig, which reads a projected token again before it expires. Its generated classes are
 * not used: they drop fields that they do not know, and apply by another kind of patch unless told otherwise.
 *
 * Rejects with ApiError for an answer that is no success, and as node:https does where there is none.
 */
import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { type Child, MANAGER } from '../plan/input.ts';
import { type Kind, type KubeObject, objectPath } from './kinds.ts';

const ANSWER_LIMIT = 64 * 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** A watch of a collection in which nothing happens is silent until the server ends it, after WATCH_SECONDS. */
export const WATCH_SECONDS = 120;
const WATCH_SILENCE_MS = (WATCH_SECONDS + 30) * 1000;
const LINE_LIMIT = 16 * 1024 * 1024;
/** Refusals of large objects repeat them. */
const MESSAGE_LIMIT = 600;

/** An answer of the API server that is no success; `message` is the server's own. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message.length > MESSAGE_LIMIT ? shortened(message) : message);
    this.status = status;
    this.reason = reason;
  }
}

/** The beginning, which names the object, and the end, which says what is wrong with it. */
function shortened(message: string): string {
  return `${message.slice(0, MESSAGE_LIMIT / 2)} … ${message.slice(-MESSAGE_LIMIT / 2)}`;
}

export interface RequestParts {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
}

export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject & { readonly code?: number; readonly message?: string };
}

export class ApiClient {
  readonly #config: KubeConfig;
  readonly #signal: AbortSignal | undefined;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  /** Requests that change something, but for the lease; a reconcile of what is as it should be sends none. */
  writes = 0;

  /** No request outlives the abort of the signal, and none begins after it. */
  constructor(config: KubeConfig, signal?: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
  }

  async #options(
    method: string,
    path: string,
    { query, contentType, accept, signal = this.#signal }: RequestParts,
  ): Promise<[URL, RequestOptions]> {
    const server = this.#config.getCurrentCluster()?.server ?? '';
    const url = new URL(server.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options as Parameters<KubeConfig['applyToHTTPSOptions']>[0]);
    return [
      url,
      {
        ...options,
        agent: url.protocol === 'https:' ? this.#agent : undefined,
        method,
        headers: {
          ...options.headers,
          accept: accept ?? 'application/json',
          'user-agent': MANAGER,
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
        },
        ...(signal === undefined ? {} : { signal }),
      },
    ];
  }

  async #send(method: string, path: string, parts: RequestParts, timeout: number): Promise<IncomingMessage> {
    const [url, options] = await this.#options(method, path, parts);
    const body = parts.body === undefined ? undefined : Buffer.from(JSON.stringify(parts.body));
    // Node gives the body of a DELETE no length of its own, and what follows on the connection would be taken for it.
    if (body !== undefined) options.headers = { ...options.headers, 'content-length': body.length };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, resolve);
    request.setTimeout(timeout, () => request.destroy(new Error(`no answer within ${timeout / 1000} s`)));
    request.once('error', reject);
    request.end(body);
    const response = await promise;
    // What goes wrong after the head of the answer is seen by whoever reads it.
    request.on('error', () => undefined);
    if ((response.statusCode ?? 500) < 300) return response;
    throw failure(response.statusCode ?? 500, await readAll(response));
  }

  /** Sends one request; resolves to what was answered. */
  async request<T>(method: string, path: string, parts: RequestParts = {}): Promise<T> {
    if (method !== 'GET' && !path.includes('/leases')) this.writes += 1;
    return JSON.parse(await readAll(await this.#send(method, path, parts, TIMEOUT_MS))) as T;
  }

  /** Undefined where there is no such object. */
  async get<T extends KubeObject>(kind: Kind, namespace: string, name: string): Promise<T | undefined> {
    try {
      return await this.request<T>('GET', objectPath(kind, namespace, name));
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Server-side apply, as the owner of the fields given. */
  async apply<T extends KubeObject>(child: Child, subresource = ''): Promise<T> {
    const { apiVersion, kind, metadata } = child;
    return this.request<T>('PATCH', objectPath({ apiVersion, kind }, metadata.namespace, metadata.name) + subresource, {
      query: { fieldManager: MANAGER, force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: child,
    });
  }

  async mergePatch<T extends KubeObject>(kind: Kind, namespace: string, name: string, body: unknown): Promise<T> {
    return this.request<T>('PATCH', objectPath(kind, namespace, name), {
      query: { fieldManager: MANAGER },
      contentType: 'application/merge-patch+json',
      body,
    });
  }

  /** False where there was no such object. */
  async delete(kind: Kind, namespace: string, name: string): Promise<boolean> {
    try {
      await this.request('DELETE', objectPath(kind, namespace, name), {
        contentType: 'application/json',
        body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' },
      });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false;
      throw error;
    }
  }

  /** Events from `resourceVersion` on, until the server ends the watch. Rejects when it breaks or the signal is aborted. */
  async *watch(
    path: string,
    parts: RequestParts & { readonly query: Readonly<Record<string, string>> },
  ): AsyncGenerator<WatchEvent> {
    const response = await this.#send(
      'GET',
      path,
      { ...parts, query: { ...parts.query, watch: 'true' } },
      WATCH_SILENCE_MS,
    );
    let rest = '';
    response.setEncoding('utf8');
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_LIMIT) throw new Error('an event is too large');
      for (const line of lines) if (line !== '') yield JSON.parse(line) as WatchEvent;
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_LIMIT) throw new Error(`the answer has more than ${ANSWER_LIMIT} octets`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What the server says in a Status object, or the beginning of what it says otherwise. */
function failure(status: number, body: string): ApiError {
  try {
    const { reason = '', message = '' } = JSON.parse(body) as { reason?: string; message?: string };
    return new ApiError(status, reason, message);
  } catch {
    return new ApiError(status, '', `HTTP status ${status}: ${body.slice(0, 200)}`);
  }
}
