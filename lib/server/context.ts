/**
 * What every service gets from its skeleton: one context object, made from its master.cf entry, that tests can build
 * with parts of their own (`test/support/context.ts`).
 */
import type { Anvil, Bounce, Cleanup, DeliveryAgent, Proxymap, Queue, TrivialRewrite } from '../clients/protocols.ts';
import type { Configuration } from '../config/settings.ts';
import type { ContentReader } from '../queue/content.ts';
import type { EntryReader } from '../queue/entry-reader.ts';
import type { WrittenFrames } from '../queue/written-frames.ts';
import type { Log } from '../util/log.ts';
import type { Attempts } from './attempts.ts';
import type { Metrics } from './metrics.ts';
import type { Stores } from './stores.ts';
import type { Tracing } from './tracing.ts';

/** Clients of other services, by master.cf service name where there may be several. Asking for one costs nothing. */
export interface Clients {
  cleanup(service?: string): Cleanup;
  rewrite(service?: string): TrivialRewrite;
  bounce(service?: string): Bounce;
  queue(service?: string): Queue;
  anvil(service?: string): Anvil;
  proxymap(service?: string): Proxymap;
  /** The delivery agent behind a transport name; undefined where master.cf has no such entry. */
  delivery(transport: string): DeliveryAgent | undefined;
  /** Whether a service of another process would do its work; of those in this one, /readyz asks each. Never rejects. */
  isReady(service: string, signal: AbortSignal): Promise<boolean>;
}

export interface ServiceContext {
  /** The name of the master.cf entry: "smtp", "relay", "10025". */
  readonly name: string;
  /** Arguments of the entry that are not options of master: `flags=… user=… argv=…` of pipe(8). */
  readonly argv: readonly string[];
  /** main.cf with the `-o` of the entry applied. */
  readonly configuration: Configuration;
  /** Most sessions or deliveries at once: maxproc of the entry, default_process_limit where it says `-`. */
  readonly processLimit: number;
  /** Seconds between wake-ups: the column of the entry; 0 for none. */
  readonly wakeup?: number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly clients: Clients;
  readonly stores: Stores;
  readonly content: ContentReader;
  readonly entries: EntryReader;
  /** Frames that this process writes to the incoming logs. */
  readonly written: WrittenFrames;
  /** What a delivery agent of this name knows of attempts, also of those that its predecessor before a reload makes. */
  readonly attempts?: Attempts;
  /** Aborted when no new work is to be taken: finish what is under way. */
  readonly draining: AbortSignal;
  /** Aborted when the grace period is over: end what waits for its next request. `signal` follows. */
  readonly closing?: AbortSignal;
  /** Aborted seconds later: let go of everything. */
  readonly signal: AbortSignal;
}
