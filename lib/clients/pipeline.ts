/**
 * Many calls under way on one stream: requests go out in batches of whatever was asked in one turn of the event loop,
 * replies come back in any order under the request's number. A call costs a share of a message instead of one of its own.
 *
 * When the stream breaks every call under way rejects with `Unavailable`; the next call opens another.
 */
import { AsyncQueue } from '../util/async-queue.ts';
import { Unavailable } from './protocols.ts';

interface Call<Request> {
  readonly id: number;
  readonly request: Request | undefined;
}

interface Reply<Response> {
  readonly id: number;
  readonly reply: Response | undefined;
}

interface Pending<Response> {
  resolve(response: Response): void;
  reject(error: Error): void;
}

export interface PipelineOptions<Request, Response> {
  /** Opens the stream. */
  readonly open: (batches: AsyncIterable<{ calls: Call<Request>[] }>) => AsyncIterable<{ calls: Reply<Response>[] }>;
  /** Octets of a request, for the size of a batch. */
  readonly size: (request: Request) => number;
}

/** Octets of a batch: well below what a peer takes in one message. */
const BATCH_OCTETS = 1024 * 1024;

/** The asking side. */
export class Pipeline<Request, Response> {
  readonly #options: PipelineOptions<Request, Response>;
  #outgoing: AsyncQueue<{ calls: Call<Request>[] }> | undefined;
  #pending = new Map<number, Pending<Response>>();
  #batch: Call<Request>[] = [];
  #scheduled = false;
  #next = 1;

  constructor(options: PipelineOptions<Request, Response>) {
    this.#options = options;
  }

  async call(request: Request, signal?: AbortSignal): Promise<Response> {
    signal?.throwIfAborted();
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.#outgoing ??= this.#open();
    this.#pending.set(id, { resolve, reject });
    this.#send({ id, request });
    if (signal === undefined) return promise;
    const cancel = (): void => {
      if (this.#pending.delete(id)) this.#send({ id, request: undefined });
      reject(new Unavailable('the call was given up', { cause: signal.reason }));
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  #send(call: Call<Request>): void {
    this.#batch.push(call);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const calls = this.#batch;
      this.#batch = [];
      this.#pushBatches(calls);
    });
  }

  #pushBatches(calls: Call<Request>[]): void {
    let batch: Call<Request>[] = [];
    let octets = 0;
    for (const call of calls) {
      octets += call.request === undefined ? 0 : this.#options.size(call.request);
      batch.push(call);
      if (octets < BATCH_OCTETS) continue;
      this.#outgoing?.push({ calls: batch });
      batch = [];
      octets = 0;
    }
    if (batch.length > 0) this.#outgoing?.push({ calls: batch });
  }

  #open(): AsyncQueue<{ calls: Call<Request>[] }> {
    const outgoing = new AsyncQueue<{ calls: Call<Request>[] }>();
    const pending = new Map<number, Pending<Response>>();
    this.#pending = pending;
    const read = async (): Promise<void> => {
      let why = 'the service ended the stream';
      try {
        for await (const { calls } of this.#options.open(outgoing)) {
          for (const { id, reply } of calls) {
            const call = pending.get(id);
            pending.delete(id);
            if (reply === undefined) call?.reject(new Unavailable('the service could not do it'));
            else call?.resolve(reply);
          }
        }
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
      outgoing.end();
      if (this.#outgoing === outgoing) this.#outgoing = undefined;
      for (const { reject } of pending.values()) reject(new Unavailable(why));
      pending.clear();
    };
    void read();
    return outgoing;
  }

  /** Ends the stream; calls under way reject. */
  close(): void {
    this.#outgoing?.end();
    this.#outgoing = undefined;
  }
}

export interface ServeOptions<Request, Response> {
  readonly handle: (request: Request, signal: AbortSignal) => Promise<Response>;
  /** Told of what `handle` throws; the caller hears that it could not be done. */
  readonly failed: (error: unknown) => void;
  /** Aborted when no more calls are taken: the stream ends when those under way are answered. */
  readonly draining: AbortSignal;
}

/** The answering side: runs every call of a stream and yields the replies as they come. */
export async function* servePipeline<Request, Response>(
  batches: AsyncIterable<{ calls: Call<Request>[] }>,
  { handle, failed, draining }: ServeOptions<Request, Response>,
): AsyncGenerator<{ calls: Reply<Response>[] }> {
  const replies = new AsyncQueue<Reply<Response>[]>();
  const running = new Map<number, AbortController>();
  let batch: Reply<Response>[] = [];
  const answer = (id: number, reply: Response | undefined): void => {
    running.delete(id);
    if (batch.length === 0) {
      setImmediate(() => {
        const calls = batch;
        batch = [];
        replies.push(calls);
        if (ended && running.size === 0) replies.end();
      });
    }
    batch.push({ id, reply });
  };
  let ended = false;
  const read = async (): Promise<void> => {
    try {
      for await (const { calls } of batches) {
        for (const { id, request } of calls) {
          if (request === undefined) {
            running.get(id)?.abort();
            continue;
          }
          // Not begun, and told so by the end of the stream.
          if (draining.aborted) continue;
          const controller = new AbortController();
          running.set(id, controller);
          handle(request, controller.signal).then(
            (reply) => answer(id, reply),
            (error: unknown) => {
              failed(error);
              answer(id, undefined);
            },
          );
        }
      }
    } catch {
      // The caller is gone; what it asked for goes on or is given up by its own signal.
    }
    finish();
  };
  const finish = (): void => {
    ended = true;
    if (running.size === 0 && batch.length === 0) replies.end();
  };
  void read();
  if (draining.aborted) finish();
  draining.addEventListener('abort', finish, { once: true });
  try {
    for await (const calls of replies) yield { calls };
  } finally {
    draining.removeEventListener('abort', finish);
  }
}
