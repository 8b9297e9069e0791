/**
 * How many deliveries at once a destination is trusted with (SCHEDULER_README, "Concurrency scheduling"): the window
 * grows at the end of a run of 1/feedback deliveries that reached the destination, and shrinks at the beginning of a run
 * of 1/feedback deliveries that did not. After failed_cohort_limit pseudo-cohorts of failures without a success between
 * them the destination is dead; negative feedback alone never takes the window below 1.
 *
 * Pure bookkeeping.
 * @see postconf(5), default_destination_concurrency_positive_feedback and its neighbours
 */

/** An amount of feedback per delivery: a constant, or a base over the window or over its square root. */
export interface Feedback {
  readonly base: number;
  readonly per: 'constant' | 'concurrency' | 'sqrt_concurrency';
}

export interface WindowSettings {
  /** The window of a destination that nothing is known of. */
  readonly initialDestinationConcurrency: number;
  /** Deliveries at once to one destination; 0: no limit. */
  readonly destinationConcurrencyLimit: number;
  /** Failed pseudo-cohorts after which a destination is dead; 0: never. */
  readonly failedCohortLimit: number;
  readonly positiveFeedback: Feedback;
  readonly negativeFeedback: Feedback;
}

/** What rounding may be off by in a sum of reciprocals that stands for a whole number of cohorts. */
const ROUNDING = 1e-6;

const decimal = (text: string): number => (/^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN);

const inRange = (value: number): boolean => value >= 0 && value <= 1;

/**
 * Reads `number`, `number / number`, `number / concurrency` or `number / sqrt_concurrency`. Undefined for anything else,
 * and where the constant or the base is not from 0 to 1.
 */
export function parseFeedback(text: string): Feedback | undefined {
  const [first = '', per, ...rest] = text.split('/').map((part) => part.trim());
  if (rest.length > 0) return undefined;
  const base = decimal(first);
  if (per === 'concurrency' || per === 'sqrt_concurrency') return inRange(base) ? { base, per } : undefined;
  const constant = per === undefined ? base : base / decimal(per);
  return inRange(constant) ? { base: constant, per: 'constant' } : undefined;
}

function amount(feedback: Feedback, window: number): number {
  if (feedback.per === 'concurrency') return feedback.base / window;
  return feedback.per === 'sqrt_concurrency' ? feedback.base / Math.sqrt(window) : feedback.base;
}

export class ConcurrencyWindow {
  readonly #settings: WindowSettings;
  /** Deliveries that may be under way at once; 0 for a dead destination. */
  size: number;
  #success = 0;
  #failure = 0;
  #failedCohorts = 0;

  constructor(settings: WindowSettings) {
    this.#settings = settings;
    this.size = this.#initial;
  }

  get #initial(): number {
    return this.#clamp(this.#settings.initialDestinationConcurrency);
  }

  #clamp(size: number): number {
    const limit = this.#settings.destinationConcurrencyLimit;
    return limit > 0 ? Math.min(size, limit) : size;
  }

  /** A delivery reached the destination. `busy`: deliveries that were under way, that one included. */
  succeeded(busy: number): void {
    const { positiveFeedback, initialDestinationConcurrency } = this.#settings;
    this.#failedCohorts = 0;
    // A window far above what is asked of it says nothing of the destination, and would delay negative feedback.
    if (this.size >= busy + initialDestinationConcurrency) return;
    this.#success += amount(positiveFeedback, this.size);
    // A sum of reciprocals is a hair below the whole number that it stands for.
    while (this.#success >= 1 - ROUNDING) {
      this.size += 1;
      this.#success -= 1;
      this.#failure = 0;
    }
    this.size = this.#clamp(this.size);
  }

  /** A delivery did not reach the destination. True where the destination is dead from here on. */
  failed(): boolean {
    const { failedCohortLimit, negativeFeedback } = this.#settings;
    this.#failedCohorts += 1 / this.size;
    if (failedCohortLimit > 0 && this.#failedCohorts >= failedCohortLimit - ROUNDING) {
      this.size = 0;
      return true;
    }
    this.#failure -= amount(negativeFeedback, this.size);
    while (this.#failure < -ROUNDING) {
      this.size -= 1;
      this.#failure += 1;
      this.#success = 0;
    }
    this.size = Math.max(this.size, 1);
    return false;
  }

  /** What is known of the destination is forgotten. */
  restart(): void {
    this.size = this.#initial;
    this.#success = 0;
    this.#failure = 0;
    this.#failedCohorts = 0;
  }

  /** For destination_concurrency_feedback_debug. */
  toString(): string {
    const [success, failure, cohorts] = [this.#success, this.#failure, this.#failedCohorts].map((value) =>
      value.toFixed(3),
    );
    return `window ${this.size} success ${success} failure ${failure} fail_cohorts ${cohorts}`;
  }
}
