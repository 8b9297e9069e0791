/**
 * Keys to work on: each at most once in the queue, never twice at the same time; one that is added while it is worked on comes
 * again afterwards. One whose work failed comes back after a pause that grows, with jitter; one that asks for it, after the
 * time that it names.
 *
 * Logs nothing: `failed` is told.
 */
import { Backoff, pause } from './backoff.ts';

export interface KeyQueueOptions {
  /** Does the work; resolves to the milliseconds after which the key is to come again, or undefined. */
  readonly work: (key: string) => Promise<number | undefined>;
  readonly failed: (key: string, error: unknown) => void;
  /** Keys worked on at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly newBackoff?: () => Backoff;
}

export class KeyQueue {
  readonly #options: KeyQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #working = new Set<string>();
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #backoffs = new Map<string, Backoff>();
  #running = false;
  #idle = Promise.withResolvers<void>();

  constructor(options: KeyQueueOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#stop(), { once: true });
  }

  get length(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    if (this.#options.signal.aborted) return;
    if (this.#working.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  /** Adds the key after a time; of several times the earliest counts. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#options.signal.aborted) return;
    const due = performance.now() + milliseconds;
    const old = this.#timers.get(key) as (NodeJS.Timeout & { due?: number }) | undefined;
    if (old?.due !== undefined && old.due <= due) return;
    clearTimeout(old);
    const timer: NodeJS.Timeout & { due?: number } = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, milliseconds);
    timer.due = due;
    this.#timers.set(key, timer);
  }

  /** Forgets what it knows of a key that is gone. */
  forget(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    this.#backoffs.delete(key);
  }

  /** Begins to work; until then keys gather. */
  start(): void {
    this.#running = true;
    this.#pump();
  }

  /** Resolves when nothing is being worked on any more, after the signal was aborted. */
  async finished(): Promise<void> {
    while (this.#working.size > 0) {
      this.#idle = Promise.withResolvers();
      await Promise.race([this.#idle.promise, pause(100, new AbortController().signal)]);
    }
  }

  #stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting.clear();
    this.#again.clear();
  }

  #pump(): void {
    if (!this.#running) return;
    for (const key of this.#waiting) {
      if (this.#working.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#working.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    try {
      const after = await this.#options.work(key);
      this.#backoffs.delete(key);
      if (after !== undefined) this.addAfter(key, after);
    } catch (error) {
      if (!this.#options.signal.aborted) {
        this.#options.failed(key, error);
        const backoff =
          this.#backoffs.get(key) ?? this.#options.newBackoff?.() ?? new Backoff({ firstMs: 500, maximumMs: 60_000 });
        this.#backoffs.set(key, backoff);
        this.addAfter(key, backoff.next());
      }
    } finally {
      this.#working.delete(key);
      this.#idle.resolve();
      if (this.#again.delete(key)) this.add(key);
      this.#pump();
    }
  }
}
