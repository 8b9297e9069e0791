/** Growing pauses between attempts, with jitter, so that many who fail together do not come back together. */
import { setTimeout as delay } from 'node:timers/promises';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maximumMs: number;
  /** From 0 to 1; for tests. */
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #attempts = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Milliseconds until the next attempt: between half and all of what doubling comes to. */
  next(): number {
    const { firstMs, maximumMs, random = Math.random } = this.#options;
    const whole = Math.min(maximumMs, firstMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts += 1;
    return whole * (0.5 + random() / 2);
  }

  reset(): void {
    this.#attempts = 0;
  }
}

/** Waits; resolves at once when the signal is aborted. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** Resolves when the signal is aborted. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}
