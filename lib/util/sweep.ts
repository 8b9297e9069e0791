/**
 * When memory is given back, where V8 would wait for more allocations that do not come.
 *
 * Octets of large messages pass through buffers outside V8's heap, which are let go when the small objects in front of
 * them are swept; with few small objects that happens seldom, and a message of 50 MB would add 150 MB to a process. Who
 * passes large content on says how much it was, and every few megabytes the young objects are swept.
 *
 * After a burst the heap keeps its size. A thread that has become idle sweeps everything, once.
 *
 * Does nothing where Node runs without --expose-gc (bin/postfleet has it).
 */
import { performance } from 'node:perf_hooks';

type Sweep = (options: { readonly type: 'minor' | 'major'; readonly flavor?: 'last-resort' }) => void;

const sweep = (globalThis as { gc?: Sweep }).gc;

/** Octets of content between two sweeps; a sweep takes about a millisecond. */
const CONTENT_INTERVAL = 4 * 1024 * 1024;
/** Milliseconds between two looks at how busy the thread was. */
const LOOK_INTERVAL = 5000;
/** The share of that time for which a thread may work and still be idle. */
const IDLE_SHARE = 0.05;

let passed = 0;

export function contentPassed(octets: number): void {
  passed += octets;
  if (passed < CONTENT_INTERVAL) return;
  passed = 0;
  sweep?.({ type: 'minor' });
}

/** Sweeps all memory of this thread whenever it becomes idle, until `signal` is aborted. */
export function sweepWhenIdle(signal: AbortSignal): void {
  if (sweep === undefined || signal.aborted) return;
  let before = performance.eventLoopUtilization();
  let worked = true;
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization > IDLE_SHARE) worked = true;
    else if (worked) {
      worked = false;
      sweep({ type: 'major', flavor: 'last-resort' });
    }
  }, LOOK_INTERVAL);
  timer.unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
