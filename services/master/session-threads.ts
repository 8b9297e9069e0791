/**
 * The threads that hold SMTP sessions in the embedded shape. A thread that ends by an error ends the process: its sessions
 * are gone, and what it had answered with 250 is in the log.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { servePort } from '../../lib/clients/port.ts';
import type { Implementation } from '../../lib/server/service.ts';
import { FatalError } from '../../lib/util/errors.ts';

/** What a thread is started with. */
export interface ThreadData {
  readonly configDirectory: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly services: readonly string[];
  readonly reusePort: boolean;
  readonly port: MessagePort;
}

/** What the main thread asks of a thread. */
export type ThreadRequest = { readonly kind: 'metrics' | 'not-ready' | 'drain' };
export type ThreadAnswer =
  | { readonly kind: 'started' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'answer'; readonly value: unknown };

export interface ThreadOptions {
  readonly file: URL;
  readonly count: number;
  readonly configDirectory: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** Names of the master.cf entries that each thread runs. */
  readonly services: readonly string[];
  readonly find: (service: string) => Implementation | undefined;
}

class SessionThread {
  readonly #worker: Worker;
  readonly ended: Promise<never>;
  #answers: ((value: unknown) => void)[] = [];
  #stopping = false;

  constructor(options: ThreadOptions) {
    const { port1, port2 } = new MessageChannel();
    servePort(port1, options.find);
    port1.unref();
    const data: ThreadData = {
      configDirectory: options.configDirectory,
      parameters: options.parameters,
      services: options.services,
      reusePort: options.count > 1,
      port: port2,
    };
    this.#worker = new Worker(options.file, { workerData: data, transferList: [port2], name: 'smtpd sessions' });
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
      else this.#answers.shift()?.(message.value);
    });
    await Promise.race([promise, this.ended]);
  }

  ask(request: ThreadRequest): Promise<unknown> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#worker.postMessage(request);
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.race([this.ask({ kind: 'drain' }), this.ended.catch(() => undefined)]);
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
    await Promise.all(threads.map((thread) => thread.started()));
    return new SessionThreads(threads);
  }

  /** Rejects when a thread ended that should not have. */
  get ended(): Promise<never> {
    return Promise.race(this.#threads.map((thread) => thread.ended));
  }

  async notReady(): Promise<string[]> {
    const answers = await Promise.all(this.#threads.map((thread) => thread.ask({ kind: 'not-ready' })));
    return answers.flatMap((answer) => answer as string[]);
  }

  /** The metrics of each thread, as prom-client's JSON. */
  metrics(): Promise<unknown[]> {
    return Promise.all(this.#threads.map((thread) => thread.ask({ kind: 'metrics' })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.stop()));
  }
}
