/**
 * A child process that is kept running: started again, after a pause that grows, whenever it ends by itself; ended in
 * order when asked. Its output goes where ours goes, or to a file.
 *
 * Logs every end that was not asked for.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { EX, FatalError } from '../../lib/util/errors.ts';
import type { Log } from '../../lib/util/log.ts';

export interface ChildOptions {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** Where output goes; our own output where it is left out. */
  readonly outputFile?: string;
  /** How it is asked to end; SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
  /** Milliseconds until it is killed after that. */
  readonly grace: number;
  readonly log: Log;
  /** Where its process id stands while it runs, for who finds it after our own end. */
  readonly pidFile?: string;
  /** It has an IPC channel; called with each process that is started. */
  readonly onChannel?: (process: ChildProcess) => void;
  /** Runs before each start: what a killed predecessor left is put in order. */
  readonly prepare?: () => void | Promise<void>;
  /**
   * Exit statuses after which it is of no use to start it again: the error is of the configuration. One that has
   * started is started again all the same: the files are being changed, and the others go on with what they have read.
   */
  readonly finalStatuses?: ReadonlySet<number>;
  /** How often it may end by itself, in whatever way, before it has started; without limit where it is left out. */
  readonly triesAtStart?: number;
}

/** A process that lived this long, in milliseconds, is started again at once. */
const STEADY = 10_000;
/** It may find that processes of a killed predecessor are about to end; what goes on longer goes on for ever. */
export const TRIES_AT_START = 5;

/** Those that run. */
const running = new Set<ChildProcess>();

/** Kills all children of this process, which is about to end at once itself and will not do it in order. */
export function killChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

export class Child implements AsyncDisposable {
  readonly #options: ChildOptions;
  #process: ChildProcess | undefined;
  #stopping = false;
  #started = false;
  #running: Promise<void>;
  readonly #failed = Promise.withResolvers<never>();

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#failed.promise.catch(() => undefined);
    this.#running = this.#supervise();
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** It does its work: however it ends from here on, it is started again. */
  hasStarted(): void {
    this.#started = true;
  }

  /** Rejects with FatalError when it ended for good. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  async #supervise(): Promise<void> {
    const { name, log, finalStatuses, triesAtStart, outputFile } = this.#options;
    let tries = 0;
    for (let wait = 100; !this.#stopping; ) {
      const began = Date.now();
      let ended: string;
      try {
        await this.#options.prepare?.();
        if (this.#stopping) return;
        const { code, signal } = await this.#once();
        if (this.#stopping) return;
        ended = signal === null ? `exit status ${code}` : `signal ${signal}`;
        const final = (code !== null && finalStatuses?.has(code)) || ++tries === triesAtStart;
        if (!this.#started && final) {
          const lines = outputFile === undefined ? 'its last lines above' : outputFile;
          this.#failed.reject(new FatalError(`${name}: ${ended}; see ${lines}`, { exitCode: EX.CONFIG }));
          return;
        }
      } catch (error) {
        this.#failed.reject(
          new FatalError(`${name}: cannot be started: ${error instanceof Error ? error.message : String(error)}`, {
            cause: error,
            exitCode: EX.OSERR,
          }),
        );
        return;
      }
      log.warning(`process ${name} ended: ${ended}; starting it again`);
      if (Date.now() - began > STEADY) wait = 100;
      await delay(wait);
      wait = Math.min(wait * 2, 5000);
    }
  }

  async #once(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const { command, outputFile, environment, onChannel, pidFile } = this.#options;
    const output = outputFile === undefined ? undefined : openSync(outputFile, 'a');
    const child = spawn(command, this.#options.arguments, {
      stdio: [
        'ignore',
        output ?? 'inherit',
        output ?? 'inherit',
        ...(onChannel === undefined ? [] : (['ipc'] as const)),
      ],
      env: { ...process.env, ...environment },
      // Ctrl-C in a terminal reaches the whole group: the order of the end is ours to decide.
      detached: true,
    });
    if (output !== undefined) closeSync(output);
    this.#process = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    onChannel?.(child);
    if (pidFile !== undefined && child.pid !== undefined) writeFileSync(pidFile, `${child.pid}\n`);
    const { promise, resolve, reject } = Promise.withResolvers<{
      code: number | null;
      signal: NodeJS.Signals | null;
    }>();
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
    return promise;
  }

  /** Ends it at once. */
  async abort(): Promise<void> {
    this.#stopping = true;
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await this.#running;
    this.#removePidFile();
  }

  #removePidFile(): void {
    if (this.#options.pidFile !== undefined) rmSync(this.#options.pidFile, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
      this.#removePidFile();
      return;
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), this.#options.grace);
    child.kill(this.#options.stopSignal ?? 'SIGTERM');
    await this.#running;
    clearTimeout(timer);
    this.#removePidFile();
  }
}
