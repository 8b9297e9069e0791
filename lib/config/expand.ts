/**
 * Expansion of `$name`, `${name}`, `$(name)`, `${name?text}`, `${name:text}`, `${name?{text}:{text}}`,
 * `${{left} op {right}?{text}:{text}}` and `$$` in parameter values, as in SYNTAX of postconf(5).
 *
 * Comparisons are `== != < <= >= >`: numerical when both sides are all digits, else by character. An operator with a
 * suffix (`<level`) uses the comparison registered under that suffix; `${name{text}}` calls a registered function.
 * A name that has no value expands to nothing. Pure: problems are reported through `warn` and in the result.
 *
 * Nesting and the text read are bounded: values that refer to themselves or double at each level end in a warning.
 */
import { type Condition, type Extensions, type Macro, parse } from './macro-syntax.ts';

export interface ExpandOptions extends Extensions {
  /** The value of a name, or undefined when it has none. */
  readonly lookup: (name: string) => string | undefined;
  /** Expand what a lookup gives. Default true. */
  readonly recursive?: boolean;
  /** Applied to the value of each name, for example to replace characters that a filter parameter does not allow. */
  readonly filter?: (value: string) => string;
  readonly warn?: (text: string) => void;
}

export interface Expansion {
  readonly text: string;
  /** The text breaks the syntax; `text` holds what could be made of it. */
  readonly malformed: boolean;
  /** A name without a value was used as a value. */
  readonly undefinedName: boolean;
}

const maximumNesting = 100;
/** Characters read in one expansion, over all that it refers to. */
const maximumWork = 4 * 1024 * 1024;

function compareByDefault(left: string, right: string): number {
  if (/^[0-9]+$/.test(left) && /^[0-9]+$/.test(right)) {
    // Without leading zeros the longer number is the greater, and equal lengths compare as text.
    const [a, b] = [left.replace(/^0+/, ''), right.replace(/^0+/, '')];
    return a.length - b.length || compareText(a, b);
  }
  return compareText(left, right);
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

function holds(operator: string, order: number): boolean {
  switch (operator) {
    case '==':
      return order === 0;
    case '!=':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>=':
      return order >= 0;
    default:
      return order > 0;
  }
}

/** One run of the expander over a text and all that it refers to. */
class Expander {
  malformed = false;
  undefinedName = false;
  #work = 0;
  readonly #options: ExpandOptions;

  constructor(options: ExpandOptions) {
    this.#options = options;
  }

  #report = (text: string): void => {
    this.malformed = true;
    this.#options.warn?.(text);
  };

  expand(text: string, nesting: number): string {
    const within = this.#work <= maximumWork;
    this.#work += text.length + 1;
    if (this.#work > maximumWork) {
      // Values that double at each level would otherwise be followed for ever: once over the bound, nothing is read.
      if (within) this.#report(`expansion is too long: "${text.slice(0, 50)}"`);
      return '';
    }
    if (!text.includes('$')) return text;
    let result = '';
    for (const piece of parse(text, this.#options, this.#report)) {
      result += 'literal' in piece ? piece.literal : this.#expandMacro(piece.macro, nesting);
    }
    return result;
  }

  #expandMacro(macro: Macro, nesting: number): string {
    if (macro.malformed) this.malformed = true;
    const { condition, whenTrue, whenFalse } = macro;
    if (condition.kind === 'name') {
      const value = this.#options.lookup(condition.name);
      if (whenTrue === undefined && whenFalse === undefined) return this.#valueOf(condition.name, value, nesting);
      const chosen = value !== undefined && value !== '' ? whenTrue : whenFalse;
      return chosen === undefined ? '' : this.#nested(condition.name, chosen, nesting);
    }
    const outcome = condition.kind === 'call' ? this.#call(condition, nesting) : this.#compare(condition, nesting);
    if (outcome === undefined) return '';
    if (whenTrue === undefined && whenFalse === undefined) return outcome;
    const chosen = outcome !== '' ? whenTrue : whenFalse;
    return chosen === undefined ? '' : this.#nested('', chosen, nesting);
  }

  #valueOf(name: string, value: string | undefined, nesting: number): string {
    if (value === undefined) {
      this.undefinedName = true;
      return '';
    }
    const expanded = this.#options.recursive === false ? value : this.#nested(name, value, nesting);
    return this.#options.filter === undefined ? expanded : this.#options.filter(expanded);
  }

  #nested(name: string, text: string, nesting: number): string {
    if (nesting < maximumNesting) return this.expand(text, nesting + 1);
    this.#report(`unreasonable macro call nesting: "${name}"`);
    return '';
  }

  #compare(condition: Condition & { kind: 'comparison' }, nesting: number): string | undefined {
    const left = this.#nested('', condition.left, nesting);
    const right = this.#nested('', condition.right, nesting);
    const compare = this.#options.comparisons?.get(condition.suffix);
    const order = compare === undefined ? compareByDefault(left, right) : compare(left, right, this.#report);
    if (order === undefined) {
      this.malformed = true;
      return undefined;
    }
    return holds(condition.operator, order) ? 'true' : '';
  }

  #call(condition: Condition & { kind: 'call' }, nesting: number): string | undefined {
    const argument = this.#nested('', condition.argument, nesting);
    const value = this.#options.functions?.get(condition.name)?.(argument);
    if (value === undefined) this.#report(`bad argument of function ${condition.name}: "${argument.slice(0, 50)}"`);
    return value;
  }
}

/** Expands one text. Never throws; `malformed` tells whether the syntax was kept. */
export function expand(text: string, options: ExpandOptions): Expansion {
  const expander = new Expander(options);
  const result = expander.expand(text, 0);
  return { text: result, malformed: expander.malformed, undefinedName: expander.undefinedName };
}

/**
 * All names that a text refers to in any branch, in order of their appearance, repeated where they are. `report` is told
 * about what cannot be read.
 */
export function namesIn(
  text: string,
  extensions: Extensions = {},
  report: (problem: string) => void = () => {},
): string[] {
  const names: string[] = [];
  const visit = (part: string | undefined, nesting: number): void => {
    if (part === undefined || !part.includes('$') || nesting > maximumNesting) return;
    for (const piece of parse(part, extensions, report)) {
      if ('literal' in piece) continue;
      const { condition, whenTrue, whenFalse } = piece.macro;
      if (condition.kind === 'name') names.push(condition.name);
      else if (condition.kind === 'call') visit(condition.argument, nesting + 1);
      else for (const side of [condition.left, condition.right]) visit(side, nesting + 1);
      visit(whenTrue, nesting + 1);
      visit(whenFalse, nesting + 1);
    }
  };
  visit(text, 0);
  return names;
}
