/**
 * Memory of large messages. Their octets pass through buffers outside V8's heap, which are let go when the small objects
 * in front of them are swept; with few small objects that happens seldom, and a message of 50 MB would add 150 MB to a
 * process. Who passes large content on says how much it was, and every few megabytes the young objects are swept.
 *
 * Does nothing where Node runs without --expose-gc (bin/postfleet has it): memory then grows by the size of the nursery.
 */

/** Octets of content between two sweeps; a sweep takes about a millisecond. */
const INTERVAL = 4 * 1024 * 1024;

const sweep = (globalThis as { gc?: (options: { type: 'minor' }) => void }).gc;
let passed = 0;

export function contentPassed(octets: number): void {
  passed += octets;
  if (passed < INTERVAL) return;
  passed = 0;
  sweep?.({ type: 'minor' });
}
