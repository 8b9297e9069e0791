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

export interface ExpandOptions {
  /** The value of a name, or undefined when it has none. */
  readonly lookup: (name: string) => string | undefined;
  /** Expand what a lookup gives. Default true. */
  readonly recursive?: boolean;
  /** Comparisons by operator suffix: negative, zero or positive, or undefined for a malformed operand. */
  readonly comparisons?: ReadonlyMap<
    string,
    (left: string, right: string, warn: (text: string) => void) => number | undefined
  >;
  /** Functions by name; undefined means that the argument is not valid. */
  readonly functions?: ReadonlyMap<string, (argument: string) => string | undefined>;
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
const nameCharacters = /[A-Za-z0-9_]*/y;
const operatorCharacters = /([=!<>]*)([A-Za-z0-9]*)/y;
const blanks = /[ \t\r\n\v\f]*/y;

type Condition =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly argument: string }
  | {
      readonly kind: 'comparison';
      readonly left: string;
      readonly operator: string;
      readonly suffix: string;
      readonly right: string;
    };

interface Macro {
  readonly condition: Condition;
  /** Neither branch: the value of the name itself, or `true` for a comparison that holds. */
  readonly whenTrue: string | undefined;
  readonly whenFalse: string | undefined;
  readonly malformed: boolean;
}

type Piece = { readonly literal: string } | { readonly macro: Macro };

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray {
  pattern.lastIndex = at;
  return pattern.exec(text)!;
}

function skipBlanks(text: string, at: number): number {
  return at + matchAt(blanks, text, at)[0].length;
}

/** Position after the bracket that closes the one at `at`, or -1. Only the same kind of bracket nests. */
function closing(text: string, at: number): number {
  const open = text[at]!;
  const close = open === '{' ? '}' : ')';
  for (let level = 0, i = at; i < text.length; i++) {
    if (text[i] === open) level++;
    else if (text[i] === close && --level === 0) return i + 1;
  }
  return -1;
}

/** Where in a macro an error was found: the text of the last brace before it, and what follows. */
function context(before: string, rest: string): string {
  return `"...${before}>>>${rest.slice(0, 20)}"`;
}

const operatorExpected = '"==" or "!="" or "<"" or "<="" or ">="" or ">" expected';
const operators = new Set(['==', '!=', '<', '<=', '>=', '>']);

/** Reads one text into literal pieces and macros; stops at the first macro that cannot be delimited. */
function parse(text: string, options: ExpandOptions, report: (text: string) => void): Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < text.length; ) {
    const dollar = text.indexOf('$', at);
    if (dollar < 0) {
      pieces.push({ literal: text.slice(at) });
      break;
    }
    if (dollar > at) pieces.push({ literal: text.slice(at, dollar) });
    const next = text[dollar + 1];
    if (next === '$') {
      pieces.push({ literal: '$' });
      at = dollar + 2;
    } else if (next === '{' || next === '(') {
      const end = closing(text, dollar + 1);
      if (end < 0) {
        report(`truncated macro reference: "${text}"`);
        break;
      }
      const macro = parseMacro(text.slice(dollar + 2, end - 1), options, report, text);
      if (macro === undefined) break;
      pieces.push({ macro });
      at = end;
    } else {
      const name = matchAt(nameCharacters, text, dollar + 1)[0];
      if (name === '') {
        report(`empty macro name: "${text.slice(0, 50)}"`);
        break;
      }
      pieces.push({
        macro: { condition: { kind: 'name', name }, whenTrue: undefined, whenFalse: undefined, malformed: false },
      });
      at = dollar + 1 + name.length;
    }
  }
  return pieces;
}

/** Reads what stands between the brackets of one macro. Undefined after an error that leaves nothing to expand. */
function parseMacro(
  body: string,
  options: ExpandOptions,
  report: (text: string) => void,
  whole: string,
): Macro | undefined {
  let at = skipBlanks(body, 0);
  let condition: Condition;
  let before: string;
  if (body[at] === '{') {
    const comparison = parseComparison(body, at, options, report);
    if (comparison === undefined) return undefined;
    ({ condition, at, before } = comparison);
  } else {
    const name = matchAt(nameCharacters, body, at)[0];
    if (name === '' && at === body.length) {
      report(`empty macro name: "${whole.slice(0, 50)}"`);
      return undefined;
    }
    before = body.slice(0, at) + name;
    at += name.length;
    condition = { kind: 'name', name };
    if (body[at] === '{' && options.functions?.has(name) === true) {
      const end = closing(body, at);
      if (end < 0) {
        report(`truncated macro reference: "${body.slice(at)}"`);
        return undefined;
      }
      condition = { kind: 'call', name, argument: body.slice(at + 1, end - 1) };
      before = body.slice(at + 1, end);
      at = end;
    }
    const rest = skipBlanks(body, at);
    if (name === '' || (rest < body.length && body[rest] !== '?' && body[rest] !== ':')) {
      report(`attribute name syntax error at: ${context(before, body.slice(at))}`);
      return undefined;
    }
  }
  at = skipBlanks(body, at);
  if (at === body.length) return { condition, whenTrue: undefined, whenFalse: undefined, malformed: false };
  if (body[at] === '?') return parseWhenTrue(body, at + 1, condition, report);
  if (body[at] === ':') return parseWhenFalse(body, at + 1, condition, undefined, report);
  report(`"?" or ":" expected at: ${context(before, body.slice(at))}`);
  return undefined;
}

function parseComparison(
  body: string,
  start: number,
  options: ExpandOptions,
  report: (text: string) => void,
): { condition: Condition; at: number; before: string } | undefined {
  const leftEnd = closing(body, start);
  if (leftEnd < 0) {
    report(`truncated macro reference: "${body.slice(start)}"`);
    return undefined;
  }
  const left = body.slice(start + 1, leftEnd - 1);
  const operatorAt = skipBlanks(body, leftEnd);
  const [token, operator = '', suffix = ''] = matchAt(operatorCharacters, body, operatorAt);
  if (!operators.has(operator) || (suffix !== '' && options.comparisons?.has(suffix) !== true)) {
    report(`${operatorExpected} at: ${context(`${left}}`, body.slice(operatorAt))}`);
    return undefined;
  }
  const afterOperator = operatorAt + token.length;
  const rightAt = skipBlanks(body, afterOperator);
  const rightEnd = body[rightAt] === '{' ? closing(body, rightAt) : -1;
  if (rightEnd < 0) {
    report(`"{expression}" expected at: ${context(`{${left}} ${token}`, body.slice(afterOperator))}`);
    return undefined;
  }
  const right = body.slice(rightAt + 1, rightEnd - 1);
  return { condition: { kind: 'comparison', left, operator, suffix, right }, at: rightEnd, before: `${right}}` };
}

/** After `?`: one text in braces, which another may follow after `:`, or all the rest as it stands. */
function parseWhenTrue(body: string, start: number, condition: Condition, report: (text: string) => void): Macro {
  const open = skipBlanks(body, start);
  const end = body[open] === '{' ? closing(body, open) : -1;
  if (end < 0) return { condition, whenTrue: body.slice(start), whenFalse: undefined, malformed: false };
  const whenTrue = body.slice(open + 1, end - 1);
  const at = skipBlanks(body, end);
  if (at === body.length) return { condition, whenTrue, whenFalse: undefined, malformed: false };
  if (body[at] === ':') return parseWhenFalse(body, at + 1, condition, whenTrue, report);
  report(`":" expected at: ${context(`${whenTrue}}`, body.slice(at))}`);
  return { condition, whenTrue, whenFalse: undefined, malformed: true };
}

function parseWhenFalse(
  body: string,
  start: number,
  condition: Condition,
  whenTrue: string | undefined,
  report: (text: string) => void,
): Macro {
  const open = skipBlanks(body, start);
  const end = body[open] === '{' ? closing(body, open) : -1;
  if (end < 0) return { condition, whenTrue, whenFalse: body.slice(start), malformed: false };
  const whenFalse = body.slice(open + 1, end - 1);
  const at = skipBlanks(body, end);
  if (at < body.length) report(`unexpected input at: ${context(`${whenFalse}}`, body.slice(at))}`);
  return { condition, whenTrue, whenFalse, malformed: at < body.length };
}

function compareByDefault(left: string, right: string): number {
  if (/^[0-9]+$/.test(left) && /^[0-9]+$/.test(right)) {
    const difference = BigInt(left) - BigInt(right);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
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

/** All names that a text refers to in any branch, in order of their appearance, repeated where they are. */
export function namesIn(
  text: string,
  functions?: ExpandOptions['functions'],
  comparisons?: ExpandOptions['comparisons'],
): string[] {
  const names: string[] = [];
  const options: ExpandOptions = {
    lookup: () => undefined,
    ...(functions && { functions }),
    ...(comparisons && { comparisons }),
  };
  const visit = (part: string | undefined, nesting: number): void => {
    if (part === undefined || !part.includes('$') || nesting > maximumNesting) return;
    for (const piece of parse(part, options, () => {})) {
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
