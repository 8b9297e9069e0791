/**
 * The `wakeup` column of master.cf: Postfix's master triggers qmgr(8) that often, which then looks for mail that no
 * notification told of. Here it rings the bell that the scans wait for.
 */
import type { Wake } from '../../lib/util/wake.ts';

/** The longest time that a timer can be set for, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/** Rings every `seconds` until the signal; never for 0. */
export function ringAtWakeups(wake: Wake, seconds: number, signal: AbortSignal): void {
  if (seconds === 0 || signal.aborted) return;
  const timer = setInterval(() => wake.ring(), Math.min(seconds * 1000, LONGEST));
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
