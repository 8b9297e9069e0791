/**
 * The threads that hold SMTP sessions in the embedded shape. A thread that ends by an error ends the process: its sessions
 * are gone, and what it had answered with 250 is in the log.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { servePort } from '../../lib/clients/port.ts';
import type { WrittenFrames } from '../../lib/queue/written-frames.ts';
import type { Implementation } from '../../lib/server/service.ts';
import { FatalError } from '../../lib/util/errors.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly configDirectory: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** "NAME/TYPE" of the entries that it runs, in the order of their start. */
  readonly services: readonly string[];
  readonly reusePort: boolean;
  readonly port: MessagePort;
  /** Where the thread tells of frames that it has written. */
  readonly written: MessagePort;
}

/** What the main thread asks of a thread. */
export type ThreadQuestion =
  | { readonly kind: 'metrics' | 'not-ready' | 'drain' }
  /** Opens the services with the files as they are; `commit` or `take-back` follows. */
  | {
      readonly kind: 'prepare';
      readonly parameters: ReadonlyMap<string, string>;
      readonly services: readonly string[];
    }
  | { readonly kind: 'commit' | 'take-back' };
export type ThreadRequest = ThreadQuestion & { readonly id: number };
export type ThreadAnswer =
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly message: string };

export interface ThreadOptions {
  readonly file: URL;
  readonly count: number;
  readonly configDirectory: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** Names of the master.cf entries that each thread runs. */
  readonly services: readonly string[];
  readonly find: (service: string) => Implementation | undefined;
  readonly written: WrittenFrames;
}

/** Mebibytes for short-lived objects: three semi-spaces of the size that bin/postfleet gives to the main thread. */
const YOUNG_GENERATION = 24;

class SessionThread {
  readonly #worker: Worker;
  readonly ended: Promise<never>;
  readonly #questions = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #stopping = false;

  constructor(options: ThreadOptions) {
    const { port1, port2 } = new MessageChannel();
    servePort(port1, options.find);
    port1.unref();
    const frames = new MessageChannel();
    options.written.hearFrom(frames.port1);
    const data: ThreadData = {
      configDirectory: options.configDirectory,
      parameters: options.parameters,
      services: options.services,
      reusePort: options.count > 1,
      port: port2,
      written: frames.port2,
    };
    this.#worker = new Worker(options.file, {
      workerData: data,
      transferList: [port2, frames.port2],
      name: 'smtpd sessions',
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION },
    });
    const { promise, reject } = Promise.withResolvers<never>();
    this.ended = promise;
    promise.catch(() => undefined);
    this.#worker.on('error', (error) => reject(error));
    this.#worker.on('exit', (code) => {
      if (!this.#stopping) reject(new FatalError(`a session thread ended with status ${code}`));
    });
  }

  async started(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#worker.on('message', (message: ThreadAnswer) => {
      if (message.kind === 'started') resolve();
      else if (message.kind === 'failed') reject(new FatalError(message.message));
      else this.#answered(message);
    });
    await Promise.race([promise, this.ended]);
  }

  #answered(answer: Extract<ThreadAnswer, { readonly id: number }>): void {
    const question = this.#questions.get(answer.id);
    this.#questions.delete(answer.id);
    if (answer.kind === 'answer') question?.resolve(answer.value);
    else question?.reject(new FatalError(answer.message));
  }

  /** Rejects with FatalError where the thread says why it cannot. */
  ask(question: ThreadQuestion): Promise<unknown> {
    const waiting = Promise.withResolvers<unknown>();
    const id = ++this.#lastId;
    this.#questions.set(id, waiting);
    this.#worker.postMessage({ ...question, id } satisfies ThreadRequest);
    return waiting.promise;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.race([this.ask({ kind: 'drain' }), this.ended]).catch(() => undefined);
    await this.terminate();
  }

  async terminate(): Promise<void> {
    this.#stopping = true;
    await this.#worker.terminate();
  }
}

export class SessionThreads implements AsyncDisposable {
  readonly #threads: SessionThread[];

  private constructor(threads: SessionThread[]) {
    this.#threads = threads;
  }

  /** Starts them all; rejects with FatalError when one cannot start. */
  static async start(options: ThreadOptions): Promise<SessionThreads> {
    const threads = Array.from({ length: options.count }, () => new SessionThread(options));
    try {
      await Promise.all(threads.map((thread) => thread.started()));
    } catch (error) {
      await Promise.all(threads.map((thread) => thread.terminate()));
      throw error;
    }
    return new SessionThreads(threads);
  }

  /** Rejects when a thread ended that should not have. */
  get ended(): Promise<never> {
    return Promise.race(this.#threads.map((thread) => thread.ended));
  }

  #askAll(question: ThreadQuestion): Promise<unknown[]> {
    return Promise.all(this.#threads.map((thread) => thread.ask(question)));
  }

  async notReady(): Promise<string[]> {
    return (await this.#askAll({ kind: 'not-ready' })).flatMap((answer) => answer as string[]);
  }

  /** The metrics of each thread, as prom-client's JSON. */
  metrics(): Promise<unknown[]> {
    return this.#askAll({ kind: 'metrics' });
  }

  /** Opens the services anew in every thread. Rejects with FatalError, and takes back, where one thread cannot. */
  async prepare(
    parameters: ReadonlyMap<string, string>,
    services: readonly string[],
  ): Promise<{ commit(): Promise<void> } & AsyncDisposable> {
    let open = true;
    const takeBack = async (): Promise<void> => {
      if (open) await this.#askAll({ kind: 'take-back' });
      open = false;
    };
    const question = { kind: 'prepare', parameters, services } as const;
    const outcomes = await Promise.allSettled(this.#threads.map((thread) => thread.ask(question)));
    const refusal = outcomes.find((outcome) => outcome.status === 'rejected');
    if (refusal !== undefined) {
      await takeBack();
      throw refusal.reason;
    }
    return {
      commit: async () => {
        open = false;
        await this.#askAll({ kind: 'commit' });
      },
      [Symbol.asyncDispose]: takeBack,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }
}
