/** Waiting for what is to come about, with a bound. */
import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds between two looks. */
const PAUSE = 20;

/**
 * Looks again and again; resolves to the first thing seen that is neither undefined nor false. Rejects after
 * `seconds` with `what` was waited for.
 */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  seconds = 60,
): Promise<T> {
  for (const deadline = performance.now() + seconds * 1000; ; await delay(PAUSE)) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} seconds`);
  }
}
