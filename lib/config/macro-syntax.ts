/**
 * The syntax of `$name` expressions: how a text falls into literal pieces and macros, and a macro into its condition and
 * its branches. Branches and operands stay text; lib/config/expand.ts reads them when they are needed, so that an error
 * in a branch that is not taken does no harm. Pure.
 * @see postconf(5)
 */

/** What expressions may use beside names. */
export interface Extensions {
  /** Comparisons by operator suffix: negative, zero or positive, or undefined for a malformed operand. */
  readonly comparisons?: ReadonlyMap<
    string,
    (left: string, right: string, warn: (text: string) => void) => number | undefined
  >;
  /** Functions by name; undefined means that the argument is not valid. */
  readonly functions?: ReadonlyMap<string, (argument: string) => string | undefined>;
}

const nameCharacters = /[A-Za-z0-9_]*/y;
const operatorCharacters = /([=!<>]*)([A-Za-z0-9]*)/y;
const blanks = /[ \t\r\n\v\f]*/y;

export type Condition =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly argument: string }
  | {
      readonly kind: 'comparison';
      readonly left: string;
      readonly operator: string;
      readonly suffix: string;
      readonly right: string;
    };

export interface Macro {
  readonly condition: Condition;
  /** Neither branch: the value of the name itself, or `true` for a comparison that holds. */
  readonly whenTrue: string | undefined;
  readonly whenFalse: string | undefined;
  readonly malformed: boolean;
}

export type Piece = { readonly literal: string } | { readonly macro: Macro };

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
export function parse(text: string, extensions: Extensions, report: (text: string) => void): Piece[] {
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
      const macro = parseMacro(text.slice(dollar + 2, end - 1), extensions, report, text);
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
  extensions: Extensions,
  report: (text: string) => void,
  whole: string,
): Macro | undefined {
  let at = skipBlanks(body, 0);
  let condition: Condition;
  let before: string;
  if (body[at] === '{') {
    const comparison = parseComparison(body, at, extensions, report);
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
    if (body[at] === '{' && extensions.functions?.has(name) === true) {
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
    if (rest === body.length ? name === '' : body[rest] !== '?' && body[rest] !== ':') {
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
  extensions: Extensions,
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
  if (!operators.has(operator)) {
    report(`${operatorExpected} at: ${context(`${left}}`, body.slice(operatorAt))}`);
    return undefined;
  }
  if (suffix !== '' && extensions.comparisons?.has(suffix) !== true) {
    report(`bad operator suffix at: ${context(operator, suffix)}`);
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
