/**
 * Whether the log would take mail at present: its server answers for the stream, the stream has a leader, and what is
 * stored is on disk, as far as that can be seen, or need not be (postfleet_weak_durability).
 *
 * Looked at when it is asked for, and at most once a second. Never rejects.
 */
import type { Configuration } from '../config/settings.ts';
import { incomingStream } from '../queue/streams.ts';
import { seenDurability } from './durability.ts';
import type { Nats } from './stores.ts';

const LIFETIME = 1000;
/** Milliseconds after which no answer is one: probes wait no longer than a second. */
const ANSWER_LIMIT = 700;
/** Milliseconds between two looks at the monitoring port. */
const DURABILITY_INTERVAL = 30_000;

export class LogReadiness {
  readonly #nats: Nats;
  readonly #monitorUrl: string;
  readonly #mayBeWeak: boolean;
  #state: Promise<boolean> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #weak = false;
  #durabilityAt = performance.now();

  constructor(nats: Nats, configuration: Configuration) {
    this.#nats = nats;
    this.#monitorUrl = configuration.text('postfleet_nats_monitor_url');
    this.#mayBeWeak = configuration.boolean('postfleet_weak_durability');
  }

  isReady(): Promise<boolean> {
    if (this.#state === undefined || performance.now() - this.#lookedAt > LIFETIME) {
      this.#lookedAt = performance.now();
      this.#state = this.#look();
    }
    return this.#state;
  }

  async #look(): Promise<boolean> {
    const limit = Promise.withResolvers<false>();
    const timer = setTimeout(() => limit.resolve(false), ANSWER_LIMIT);
    try {
      return (await Promise.race([this.#answers(), limit.promise])) && this.#isDurable();
    } finally {
      clearTimeout(timer);
    }
  }

  async #answers(): Promise<boolean> {
    try {
      const { cluster } = await this.#nats.manager.streams.info(incomingStream(0));
      // A single server has no cluster, and says so by an empty or missing name.
      return (cluster?.name ?? '') === '' || (cluster?.leader ?? '') !== '';
    } catch {
      return false;
    }
  }

  /** As it was seen last. Nobody waits for a look: without a name server it takes longer than a probe has. */
  #isDurable(): boolean {
    if (this.#mayBeWeak) return true;
    if (performance.now() - this.#durabilityAt > DURABILITY_INTERVAL) {
      this.#durabilityAt = performance.now();
      void this.#lookAtDurability();
    }
    return !this.#weak;
  }

  /** A server that came back with other settings is noticed; one that cannot be looked at is as it was. Never rejects. */
  async #lookAtDurability(): Promise<void> {
    const seen = await seenDurability(this.#monitorUrl);
    if (seen !== 'unknown') this.#weak = seen === 'weak';
  }
}
