/**
 * The largest counts and rates since they were last logged, in the lines that anvil(8) writes:
 *
 *     statistics: max connection rate 3/60s for (smtp:192.0.2.1) at Nov 22 14:07:36
 *
 * Pure but for the clock and its time zone.
 */
import type { RateKind } from './counts.ts';

interface Peak {
  value: number;
  ident: string;
  at: Date;
}

/** In the order of their lines; "count" is that of open connections. */
const ORDER = ['connection', 'count', 'message', 'recipient', 'newtls', 'auth'] as const;
type Measure = (typeof ORDER)[number];

export class Statistics {
  readonly #timeUnit: number;
  readonly #now: () => Date;
  readonly #peaks = new Map<Measure, Peak>();
  #cacheSize: Omit<Peak, 'ident'> | undefined;

  /** `timeUnit` in seconds. */
  constructor(timeUnit: number, now: () => Date = () => new Date()) {
    this.#timeUnit = timeUnit;
    this.#now = now;
  }

  rate(kind: RateKind, value: number, ident: string): void {
    this.#note(kind, value, ident);
  }

  open(value: number, ident: string): void {
    this.#note('count', value, ident);
  }

  cacheSize(value: number): void {
    if (value > (this.#cacheSize?.value ?? 0)) this.#cacheSize = { value, at: this.#now() };
  }

  /** The lines, once; measuring begins again. */
  take(): string[] {
    const lines: string[] = [];
    for (const measure of ORDER) {
      const peak = this.#peaks.get(measure);
      if (peak === undefined) continue;
      const what =
        measure === 'count' ? `connection count ${peak.value}` : `${measure} rate ${peak.value}/${this.#timeUnit}s`;
      lines.push(`statistics: max ${what} for (${peak.ident}) at ${timeText(peak.at)}`);
    }
    if (this.#cacheSize !== undefined) {
      lines.push(`statistics: max cache size ${this.#cacheSize.value} at ${timeText(this.#cacheSize.at)}`);
    }
    this.#peaks.clear();
    this.#cacheSize = undefined;
    return lines;
  }

  #note(measure: Measure, value: number, ident: string): void {
    const peak = this.#peaks.get(measure);
    if (peak === undefined) this.#peaks.set(measure, { value, ident, at: this.#now() });
    else if (value > peak.value) Object.assign(peak, { value, ident, at: this.#now() });
  }
}

/** "Nov 22 14:07:36" */
function timeText(at: Date): string {
  const [, month = '', day = ''] = at.toDateString().split(' ');
  return `${month} ${day.replace(/^0/, ' ')} ${at.toTimeString().slice(0, 8)}`;
}
