/**
 * What `regexp:` and `pcre:` tables share: rules `/pattern/flags result`, negation, if … endif, results with `$1`, tried in
 * order against the whole key (regexp_table(5), pcre_table(5)). The two differ in the syntax of their patterns and flags.
 *
 * A key is matched at once where the pattern cannot take long; otherwise the lookup becomes a promise, and a pattern that
 * passes its time limit is a temporary failure with a warning that names the rule (lib/util/pattern/matcher.ts).
 */
import { caseFold } from '../util/case-fold.ts';
import { compileMatcher, type Matcher, type MatchGroups } from '../util/pattern/matcher.ts';
import { type Pattern, PatternSyntaxError } from '../util/pattern/syntax.ts';
import { MatchTimeoutError } from '../util/pattern/worker-pool.ts';
import { isBlank } from '../util/split.ts';
import { encodeFiles } from './file-value.ts';
import { acceptableKey } from './fixed-table.ts';
import { logicalLines } from './logical-lines.ts';
import type { OpenRequest } from './open.ts';
import {
  type CompiledRule,
  compileBlocks,
  openPatternSource,
  type PatternSource,
  type Rule,
} from './pattern-source.ts';
import { parseReplacement, type ReplacementPart, substitute } from './substitution.ts';
import {
  type LookupResult,
  type MaybePromise,
  type Table,
  TableError,
  TableOpenError,
  type TableOwner,
} from './table.ts';

/** What differs between the two types. */
export interface ExpressionSyntax {
  /** Compiles a pattern with its flag letters. Throws PatternSyntaxError; a string names a flag that does not exist. */
  compile(pattern: string, flags: string, warn: (text: string) => void): Pattern | { readonly unknownFlag: string };
  /** The words of the log line for a pattern that is wrong. */
  describeError(error: PatternSyntaxError): string;
  /** `/pattern1/!/pattern2/`: the first must match and the second must not. */
  readonly secondPattern: boolean;
  readonly noDelimiter: string;
  /** What is said of `$0`. */
  readonly outOfRange: string;
}

interface Condition {
  readonly matcher: Matcher;
  readonly negated: boolean;
  /** Must hold too. */
  readonly second?: { readonly matcher: Matcher; readonly negated: boolean };
  readonly line: number;
}

type Result = readonly ReplacementPart[];
type Rules = readonly CompiledRule<Condition, Result>[];

class ExpressionTable implements Table {
  readonly type: string;
  readonly name: string;
  readonly partialKeys = false;
  readonly owner: TableOwner;
  readonly #request: OpenRequest;
  readonly #source: PatternSource<Rules>;

  constructor(request: OpenRequest, source: PatternSource<Rules>) {
    this.type = request.type;
    this.name = request.name;
    this.owner = source.owner;
    this.#request = request;
    this.#source = source;
  }

  lookup(key: string): MaybePromise<LookupResult> {
    const { flags, context } = this.#request;
    if (!acceptableKey(this, key, flags, context)) return undefined;
    const text = flags.foldPatterns ? caseFold(key, flags.utf8) : key;
    const rules = this.#source.current();
    return rules instanceof Promise ? rules.then((read) => this.#search(read, text, 0)) : this.#search(rules, text, 0);
  }

  #search(rules: Rules, text: string, from: number): MaybePromise<LookupResult> {
    for (let at = from; at < rules.length; ) {
      const rule = rules[at]!;
      const groups = this.#holds(rule.condition, text);
      if (groups instanceof Promise) return this.#resume(groups, rules, text, at);
      if (groups !== undefined && rule.kind === 'match') return substitute(rule.result, groups);
      at = groups === undefined && rule.kind === 'if' ? rule.skip : at + 1;
    }
    return undefined;
  }

  async #resume(
    pending: Promise<MatchGroups | undefined>,
    rules: Rules,
    text: string,
    at: number,
  ): Promise<LookupResult> {
    const rule = rules[at]!;
    const groups = await pending.catch((error: unknown) => this.#failed(error, rule.condition.line));
    if (groups !== undefined && rule.kind === 'match') return substitute(rule.result, groups);
    return this.#search(rules, text, groups === undefined && rule.kind === 'if' ? rule.skip : at + 1);
  }

  #failed(error: unknown, line: number): never {
    if (!(error instanceof MatchTimeoutError)) throw error;
    const text = `${this.type} map ${this.name}, line ${line}: pattern takes too long: ${error.message}`;
    this.#request.context.warn(text);
    throw new TableError(text);
  }

  /** The groups of a condition that holds, none for a negated one. */
  #holds(condition: Condition, text: string): MaybePromise<MatchGroups | undefined> {
    const { signal } = this.#request.context;
    const groups = condition.matcher.match(text, signal);
    if (groups instanceof Promise) return groups.then((found) => this.#decide(condition, found, text));
    return this.#decide(condition, groups, text);
  }

  #decide(condition: Condition, groups: MatchGroups | undefined, text: string): MaybePromise<MatchGroups | undefined> {
    const held = !condition.negated ? groups : groups === undefined ? NO_GROUPS : undefined;
    const { second } = condition;
    if (held === undefined || second === undefined) return held;
    const decide = (found: MatchGroups | undefined): MatchGroups | undefined =>
      (found === undefined) === second.negated ? held : undefined;
    const found = second.matcher.match(text, this.#request.context.signal);
    return found instanceof Promise ? found.then(decide) : decide(found);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const NO_GROUPS: MatchGroups = [];

/** The rules of a source; what is wrong with one is a warning, and the rule is left out. */
export function readRules(request: OpenRequest, syntax: ExpressionSyntax, text: string): Rules {
  return compileBlocks(new RuleReader(request, syntax).read(text), (line) =>
    request.context.warn(`${request.type} map ${request.name}, line ${line}: IF has no matching ENDIF`),
  );
}

export async function openExpressionTable(request: OpenRequest, syntax: ExpressionSyntax): Promise<Table> {
  const compile = (text: string): Rules => readRules(request, syntax, text);
  return new ExpressionTable(request, await openPatternSource(request, compile));
}

/** A pattern without the exclamation marks in front of it, and whether they negate it. */
function withoutNegations(text: string): { readonly bare: string; readonly negated: boolean } {
  let negated = false;
  let at = 0;
  for (; at < text.length && (text[at] === '!' || (at > 0 && isBlank(text[at]!))); at++)
    if (text[at] === '!') negated = !negated;
  return { bare: text.slice(at), negated };
}

/** A rule is wrong; the text is what the log line says about it. */
class RuleError extends Error {}

interface ReadPattern {
  readonly pattern: Pattern;
  readonly negated: boolean;
  readonly second?: Omit<ReadPattern, 'rest'>;
  /** What follows the flags, with the blanks in front of it. */
  readonly rest: string;
}

/** Reads the rules of one table, reporting and leaving out those that are wrong. */
class RuleReader {
  readonly #request: OpenRequest;
  readonly #syntax: ExpressionSyntax;
  readonly #where: string;
  #line = 0;
  #depth = 0;

  constructor(request: OpenRequest, syntax: ExpressionSyntax) {
    this.#request = request;
    this.#syntax = syntax;
    this.#where = `${request.type} map ${request.name}`;
  }

  *read(text: string): Generator<Rule<Condition, Result>> {
    for (const line of logicalLines(text, this.#request.name, this.#request.context.warn)) {
      this.#line = line.number;
      try {
        const rule = this.#rule(line.text);
        if (rule !== undefined) yield rule;
      } catch (error) {
        if (!(error instanceof RuleError)) throw error;
        this.#warn(error.message);
      }
    }
  }

  #warn(text: string): void {
    this.#request.context.warn(`${this.#where}, line ${this.#line}: ${text}`);
  }

  #rule(text: string): Rule<Condition, Result> | undefined {
    const keyword = /^[0-9a-z]+/i.exec(text)?.[0].toLowerCase();
    if (keyword === undefined) return this.#match(text);
    const rest = text.slice(keyword.length).trimStart();
    if (keyword === 'if') return this.#block(rest);
    if (keyword === 'endif') return this.#endBlock(rest);
    throw new RuleError('ignoring unrecognized request');
  }

  #block(text: string): Rule<Condition, Result> {
    const read = this.#pattern(text);
    const extra = read.rest.trimStart();
    if (extra !== '') {
      this.#warn(`ignoring extra text after IF statement: "${extra}"`);
      this.#warn('do not prepend whitespace to statements between IF and ENDIF');
    }
    this.#depth += 1;
    return { kind: 'if', condition: this.#condition(read, false), line: this.#line };
  }

  #endBlock(rest: string): Rule<Condition, Result> {
    if (this.#depth === 0) throw new RuleError('ignoring ENDIF without matching IF');
    if (rest !== '') this.#warn('ignoring extra text after ENDIF');
    this.#depth -= 1;
    return { kind: 'endif' };
  }

  #match(text: string): Rule<Condition, Result> {
    const read = this.#patterns(text);
    const written = read.rest.trimStart();
    if (written === '') this.#warn('no replacement text: using empty string');
    const value = this.#value(written);
    const replacement = parseReplacement(value, this.#syntax.outOfRange);
    if ('text' in replacement) {
      if (replacement.prefixed) this.#warn(replacement.text);
      else this.#request.context.warn(replacement.text);
      throw new RuleError('bad replacement syntax: skipping this rule');
    }
    if (replacement.highest > 0) this.#checkSubstitution(read, replacement.highest);
    return { kind: 'match', condition: this.#condition(read, replacement.highest > 0), result: replacement.parts };
  }

  #checkSubstitution(read: ReadPattern, highest: number): void {
    if (read.negated) throw new RuleError('$number found in negative match replacement text: skipping this rule');
    if (this.#request.flags.noSubstitution) {
      throw new RuleError('regular expression substitution is not allowed: skipping this rule');
    }
    if (highest > read.pattern.groups) {
      throw new RuleError(`out of range replacement index "${highest}": skipping this rule`);
    }
  }

  #value(text: string): string {
    if (!this.#request.flags.valueIsFile || text === '') return text;
    try {
      return encodeFiles(text, this.#request.context.directory);
    } catch (error) {
      if (error instanceof TableOpenError) throw new RuleError(`${error.message}: skipping this rule`);
      throw error;
    }
  }

  #condition(read: ReadPattern, captures: boolean): Condition {
    const condition = { matcher: compileMatcher(read.pattern, captures), negated: read.negated, line: this.#line };
    if (read.second === undefined) return condition;
    return {
      ...condition,
      second: { matcher: compileMatcher(read.second.pattern, false), negated: read.second.negated },
    };
  }

  #pattern(text: string): ReadPattern {
    const { bare, negated } = withoutNegations(text);
    const { body, flags, rest } = this.#delimited(bare);
    return { pattern: this.#compile(body, flags), negated, rest };
  }

  /** A pattern that a second one may follow at once, behind an exclamation mark. */
  #patterns(text: string): ReadPattern {
    const first = this.#pattern(text);
    if (!this.#syntax.secondPattern || !first.rest.startsWith('!')) return first;
    const { rest, ...second } = this.#pattern(first.rest);
    return { ...first, second, rest };
  }

  /** `/body/flags rest`, with any character that is neither a letter, a digit nor white space in place of the slashes. */
  #delimited(text: string): { body: string; flags: string; rest: string } {
    if (text === '') throw new RuleError('no regexp: skipping this rule');
    const delimiter = text[0]!;
    let end = 1;
    while (end < text.length && text[end] !== delimiter) end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length)
      throw new RuleError(`no closing regexp delimiter "${delimiter}": ${this.#syntax.noDelimiter}`);
    const flags = (this.#syntax.secondPattern ? /^[^\s!]*/ : /^\S*/).exec(text.slice(end + 1))![0];
    const rest = text.slice(end + 1 + flags.length);
    return { body: text.slice(1, end), flags, rest };
  }

  #compile(body: string, flags: string): Pattern {
    try {
      const pattern = this.#syntax.compile(body, flags, (problem) => this.#warn(problem));
      if (!('unknownFlag' in pattern)) return pattern;
      throw new RuleError(`unknown regexp option "${pattern.unknownFlag}": skipping this rule`);
    } catch (error) {
      if (error instanceof PatternSyntaxError) throw new RuleError(this.#syntax.describeError(error));
      throw error;
    }
  }
}

/** Flag letters toggle options; the letter that names none is returned. */
export function toggleFlags<T extends Record<string, boolean>>(
  options: T,
  letters: Readonly<Record<string, keyof T>>,
  flags: string,
): T | { readonly unknownFlag: string } {
  const toggled: Record<string, boolean> = { ...options };
  for (const letter of flags) {
    const option = Object.hasOwn(letters, letter) ? (letters[letter] as string) : undefined;
    if (option === undefined) return { unknownFlag: letter };
    toggled[option] = !toggled[option];
  }
  return toggled as T;
}
