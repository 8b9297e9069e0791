/**
 * Matches patterns against text that somebody else chose, without letting a pattern stall the event loop.
 *
 * V8's engine is the fastest and backtracks: it is used where the shape of the pattern bounds its steps for a text of that
 * length (cost.ts). Otherwise the linear-time engine RE2 is used, here for short texts and in a worker thread for long
 * ones. What RE2 cannot express runs on V8 in the worker thread, with a time limit; passing it is an error, not a
 * mismatch.
 *
 * Known limit: where a repetition can match nothing, and for groups inside a repetition that took no part in its last round,
 * the groups are those of JavaScript, which differ from Perl's in rare patterns such as `(a*?|b)*`.
 */
import { RE2JS } from 're2js';
import type { MaybePromise } from '../maybe-promise.ts';
import { backtrackingCost, type Cost, steps } from './cost.ts';
import { contains, type Pattern, type PatternNode, sequence } from './syntax.ts';
import { matchInWorker } from './worker-pool.ts';
import { type WrittenPattern, writeForRe2, writeForV8 } from './write.ts';

/** Text of each group by its number; 0 is the whole match. A group that took no part is undefined. */
export type MatchGroups = readonly (string | undefined)[];

export interface Matcher {
  /** Undefined where the text does not match; no groups where the matcher was made without. Rejects with MatchTimeoutError. */
  match(text: string, signal?: AbortSignal): MaybePromise<MatchGroups | undefined>;
}

/** Backtracking steps that may be taken on the calling thread: some milliseconds. */
const MAX_INLINE_STEPS = 4_000_000;
/** Characters that RE2's automaton, some 30 ns each, may look at on the calling thread. */
const MAX_INLINE_TEST = 100_000;
/** Characters times pattern size that RE2 may look at there to find the groups. */
const MAX_INLINE_GROUPS = 400_000;

/** `captures`: the caller wants the groups, not only whether the pattern matches. */
export function compileMatcher(pattern: Pattern, captures: boolean): Matcher {
  return new PatternMatcher(anchorRun(pattern), captures);
}

class PatternMatcher implements Matcher {
  readonly #pattern: Pattern;
  readonly #captures: boolean;
  readonly #cost: Cost;
  /** POSIX wants the longest match; which one is found shows only in its groups. */
  readonly #wantsLongest: boolean;
  #ascii: Compiled | undefined;
  #unicode: Compiled | undefined;
  #linear: Linear | undefined | null = null;

  constructor(pattern: Pattern, captures: boolean) {
    this.#pattern = pattern;
    this.#captures = captures;
    this.#cost = backtrackingCost(pattern);
    this.#wantsLongest = pattern.longest && captures && contains(pattern.root, (node) => node.kind === 'alternatives');
  }

  match(text: string, signal?: AbortSignal): MaybePromise<MatchGroups | undefined> {
    if (!this.#wantsLongest && steps(this.#cost, text.length) <= MAX_INLINE_STEPS) return this.#v8For(text).match(text);
    const linear = this.#linearEngine();
    if (linear !== undefined) {
      const size = linear.written.source.length;
      if (text.length <= (this.#captures ? MAX_INLINE_GROUPS / size : MAX_INLINE_TEST)) return linear.match(text);
      return matchInWorker({ engine: 're2', longest: this.#pattern.longest, ...linear.written, text }, signal);
    }
    const { written, flags } = this.#v8For(text);
    return matchInWorker({ engine: 'v8', flags, ...written, text }, signal);
  }

  #v8For(text: string): Compiled {
    if (isAscii(text)) {
      this.#ascii ??= new Compiled(writeForV8(this.#pattern, 'ascii'), '');
      return this.#ascii;
    }
    this.#unicode ??= new Compiled(writeForV8(this.#pattern, 'unicode'), 'u');
    return this.#unicode;
  }

  #linearEngine(): Linear | undefined {
    if (this.#linear === null) this.#linear = compileLinear(this.#pattern, this.#captures);
    return this.#linear;
  }
}

const NON_ASCII = /[^\x00-\x7f]/;

function isAscii(text: string): boolean {
  return !NON_ASCII.test(text);
}

class Compiled {
  readonly written: WrittenPattern;
  readonly flags: string;
  readonly #regexp: RegExp;

  constructor(written: WrittenPattern, flags: string) {
    this.written = written;
    this.flags = flags;
    this.#regexp = new RegExp(written.source, flags);
  }

  match(text: string): MatchGroups | undefined {
    const found = this.#regexp.exec(text);
    return found === null ? undefined : this.written.groups.map((number) => found[number]);
  }
}

class Linear {
  readonly written: WrittenPattern;
  readonly #regexp: RE2JS;

  constructor(written: WrittenPattern, longest: boolean) {
    this.written = written;
    this.#regexp = RE2JS.compile(written.source, longest ? RE2JS.LONGEST_MATCH : 0);
  }

  match(text: string): MatchGroups | undefined {
    return matchLinear(this.#regexp, this.written.groups, text);
  }
}

/** One search with RE2; the worker thread uses it too. */
export function matchLinear(regexp: RE2JS, groups: readonly number[], text: string): MatchGroups | undefined {
  // The automaton that only says yes or no is ten times faster than the search for the groups.
  if (!regexp.test(text)) return undefined;
  if (groups.length === 0) return [];
  const matcher = regexp.matcher(text);
  if (!matcher.find()) return undefined;
  return groups.map((number) => matcher.group(number) ?? undefined);
}

function compileLinear(pattern: Pattern, captures: boolean): Linear | undefined {
  const written = writeForRe2(pattern);
  if (written === undefined) return undefined;
  try {
    return new Linear(captures ? written : { ...written, groups: [] }, pattern.longest);
  } catch {
    // RE2 limits the size of a pattern; V8 in the worker thread takes what it refuses.
    return undefined;
  }
}

/**
 * A pattern that begins with a run of anything matches from the start of the text or not at all; saying so spares a
 * backtracking engine the attempts from everywhere else.
 */
function anchorRun(pattern: Pattern): Pattern {
  const first = firstNode(pattern.root);
  const isRun =
    first?.kind === 'repeat' &&
    first.min === 0 &&
    first.max === Number.POSITIVE_INFINITY &&
    first.body.kind === 'set' &&
    first.body.set.length === 1 &&
    first.body.set[0]![0] === 0 &&
    first.body.set[0]![1] === 0x10ffff;
  if (!isRun) return pattern;
  return { ...pattern, root: sequence([{ kind: 'assertion', assertion: 'start' }, pattern.root]) };
}

function firstNode(node: PatternNode): PatternNode | undefined {
  return node.kind === 'sequence' ? node.items[0] && firstNode(node.items[0]) : node;
}
