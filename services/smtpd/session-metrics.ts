/**
 * Counts of sessions and messages, kept as plain numbers and handed to Prometheus' counters when these are read: a counter
 * with labels costs as much as a command. Where nobody reads them, once a second, so that reply times do not pile up.
 */
import type { Metrics } from '../../lib/server/metrics.ts';

const INTERVAL = 1000;

export class SessionMetrics {
  readonly #metrics: Metrics;
  readonly #service: string;
  readonly #timer: NodeJS.Timeout;
  readonly #handOver = (): void => this.flush();
  #connections = 0;
  #accepted = 0;
  #sessions = 0;
  #shownSessions = 0;
  readonly #rejected = new Map<string, number>();
  #replyTimes: number[] = [];

  constructor(metrics: Metrics, service: string, signal: AbortSignal) {
    this.#metrics = metrics;
    this.#service = service;
    this.#timer = setInterval(this.#handOver, INTERVAL);
    this.#timer.unref();
    metrics.handOver.add(this.#handOver);
    signal.addEventListener('abort', () => this.stop(), { once: true });
  }

  /** Sessions open at present. */
  get sessions(): number {
    return this.#sessions;
  }

  opened(): void {
    this.#connections += 1;
    this.#sessions += 1;
  }

  closed(): void {
    this.#sessions -= 1;
  }

  accepted(): void {
    this.#accepted += 1;
  }

  rejected(stage: string): void {
    this.#rejected.set(stage, (this.#rejected.get(stage) ?? 0) + 1);
  }

  /** Milliseconds from the end of data to its reply. */
  replied(milliseconds: number): void {
    this.#replyTimes.push(milliseconds / 1000);
  }

  flush(): void {
    const { connections, sessions, accepted, rejected, replySeconds } = this.#metrics;
    const service = this.#service;
    if (this.#connections > 0) connections.inc({ service }, this.#connections);
    if (this.#sessions !== this.#shownSessions) sessions.inc({ service }, this.#sessions - this.#shownSessions);
    if (this.#accepted > 0) accepted.inc({ service }, this.#accepted);
    for (const [stage, count] of this.#rejected) rejected.inc({ service, stage }, count);
    for (const seconds of this.#replyTimes) replySeconds.observe({ service }, seconds);
    this.#connections = 0;
    this.#accepted = 0;
    this.#shownSessions = this.#sessions;
    this.#rejected.clear();
    this.#replyTimes = [];
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#metrics.handOver.delete(this.#handOver);
    this.flush();
  }
}
