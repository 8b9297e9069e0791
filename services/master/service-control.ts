/**
 * What the master asks of a service in a process of its own, over the IPC channel between the two: a reload in two steps, so
 * that all services take a configuration or none does.
 *
 * A process that ended in between counts as willing: it is started again, and reads the files as they are then.
 */
import type { ChildProcess } from 'node:child_process';
import { FatalError } from '../../lib/util/errors.ts';

/** `prepare` opens the service with the files as they are; `commit` or `take-back` follows. */
export type ControlKind = 'prepare' | 'commit' | 'take-back';

export interface ControlRequest {
  readonly id: number;
  readonly kind: ControlKind;
}

export type ControlAnswer =
  | { readonly kind: 'started' }
  | { readonly kind: 'done'; readonly id: number }
  | { readonly kind: 'refused'; readonly id: number; readonly reason: string };

/** The master's end of the channel to one process. */
export class ServiceControl {
  /** Resolves when the service has started; rejects with FatalError when its process ended before. */
  readonly started: Promise<void>;
  readonly #process: ChildProcess;
  readonly #questions = new Map<number, PromiseWithResolvers<void>>();
  #lastId = 0;

  constructor(process: ChildProcess) {
    this.#process = process;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.started = promise;
    promise.catch(() => undefined);
    process.on('message', (answer: ControlAnswer) => {
      if (answer.kind === 'started') resolve();
      else this.#answered(answer);
    });
    process.once('exit', (code, signal) => {
      const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
      reject(new FatalError(`it ended with ${how}; its last lines say why`));
      for (const question of this.#questions.values()) question.resolve();
      this.#questions.clear();
    });
  }

  #answered(answer: Exclude<ControlAnswer, { readonly kind: 'started' }>): void {
    const question = this.#questions.get(answer.id);
    this.#questions.delete(answer.id);
    if (answer.kind === 'done') question?.resolve();
    else question?.reject(new FatalError(answer.reason));
  }

  /** Rejects with FatalError, which has the reason, where the service refuses, or is silent for `limit` milliseconds. */
  async ask(kind: ControlKind, limit: number): Promise<void> {
    if (!this.#process.connected) return;
    const question = Promise.withResolvers<void>();
    const id = ++this.#lastId;
    this.#questions.set(id, question);
    // A channel that breaks is one whose process ends.
    this.#process.send({ id, kind } satisfies ControlRequest, () => undefined);
    const timer = setTimeout(() => {
      this.#questions.delete(id);
      question.reject(new FatalError(`no answer within ${limit / 1000} seconds`));
    }, limit);
    try {
      await question.promise;
    } finally {
      clearTimeout(timer);
    }
  }
}
