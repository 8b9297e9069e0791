/**
 * Reads Perl-compatible regular expressions (pcre2pattern(3)): all but recursion, subroutine calls, conditions, callouts,
 * backtracking verbs, `\K`, `\G` and `\X`, which are refused with a message that names them. Messages and offsets are those
 * of PCRE2 where it has one for the same mistake.
 */
import {
  ANY,
  type CharacterSet,
  complement,
  NEWLINE,
  POSIX_CLASSES,
  setOfText,
  union,
  WORD,
  withBothCases,
} from './character-set.ts';
import { CLASS_ESCAPES, CONTROL_ESCAPES, LINE_BREAK, propertySet } from './perl-classes.ts';
import {
  type Assertion,
  alternatives,
  EMPTY,
  fixedLength,
  type Pattern,
  type PatternNode,
  PatternSyntaxError,
  sequence,
} from './syntax.ts';

export interface PerlOptions {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
  readonly extended: boolean;
  readonly anchored: boolean;
  readonly dollarEndOnly: boolean;
  readonly ungreedy: boolean;
}

/** The options that `(?imsxU)` changes inside the pattern. */
type LocalOptions = Pick<PerlOptions, 'ignoreCase' | 'multiLine' | 'dotAll' | 'extended' | 'ungreedy'>;

const OPTION_LETTERS: Readonly<Record<string, keyof LocalOptions>> = {
  i: 'ignoreCase',
  m: 'multiLine',
  s: 'dotAll',
  x: 'extended',
  U: 'ungreedy',
};

const MAX_REPEAT = 65535;
const MAX_DEPTH = 250;

/** Throws PatternSyntaxError. */
export function parsePerl(text: string, options: PerlOptions): Pattern {
  return new PerlParser(text, options).parse();
}

class PerlParser {
  readonly #text: string[];
  readonly #dollarEndOnly: boolean;
  readonly #anchored: boolean;
  #options: LocalOptions;
  #at = 0;
  #groups = 0;
  #depth = 0;
  readonly #names = new Map<string, number>();
  readonly #references: { index: number | string; offset: number; node: { index: number } }[] = [];

  constructor(text: string, options: PerlOptions) {
    this.#text = Array.from(text);
    this.#options = options;
    this.#dollarEndOnly = options.dollarEndOnly;
    this.#anchored = options.anchored;
  }

  parse(): Pattern {
    let root = this.#alternatives();
    if (this.#at < this.#text.length) throw this.#error('unmatched closing parenthesis', this.#at);
    for (const { index, offset, node } of this.#references) {
      const number = typeof index === 'number' ? index : (this.#names.get(index) ?? Number.POSITIVE_INFINITY);
      if (number > this.#groups) throw this.#error('reference to non-existent subpattern', offset);
      node.index = number;
    }
    if (this.#anchored) root = sequence([{ kind: 'assertion', assertion: 'start' }, root]);
    return { root, groups: this.#groups, longest: false };
  }

  #error(message: string, offset: number): PatternSyntaxError {
    return new PatternSyntaxError(message, offset);
  }

  #unsupported(what: string, offset: number): PatternSyntaxError {
    return this.#error(`${what} is not supported`, offset);
  }

  #looking(text: string): boolean {
    for (let next = 0; next < text.length; next++) if (this.#text[this.#at + next] !== text[next]) return false;
    return true;
  }

  #take(text: string): boolean {
    if (!this.#looking(text)) return false;
    this.#at += text.length;
    return true;
  }

  #alternatives(): PatternNode {
    if (++this.#depth > MAX_DEPTH) throw this.#error('parentheses are too deeply nested', this.#at);
    const outer = this.#options;
    const items = [this.#sequence()];
    while (this.#take('|')) items.push(this.#sequence());
    this.#options = outer;
    this.#depth -= 1;
    return alternatives(items);
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    for (;;) {
      this.#skipIgnored();
      if (this.#at >= this.#text.length || this.#looking('|') || this.#looking(')')) return sequence(items);
      if (this.#take('\\Q')) items.push(...this.#quotedLiterals());
      else items.push(this.#repeated());
    }
  }

  /** Comments, and with `x` white space and `#` to the end of the line. */
  #skipIgnored(): void {
    for (;;) {
      if (this.#looking('(?#')) {
        const start = this.#at;
        while (this.#at < this.#text.length && this.#text[this.#at] !== ')') this.#at += 1;
        if (this.#at >= this.#text.length) throw this.#error('missing ) after (?# comment', start);
        this.#at += 1;
      } else if (this.#take('\\E')) {
        // An end without a start of quoting means nothing.
      } else if (this.#options.extended && /^[ \t\n\v\f\r]$/.test(this.#text[this.#at] ?? '')) {
        this.#at += 1;
      } else if (this.#options.extended && this.#text[this.#at] === '#') {
        while (this.#at < this.#text.length && this.#text[this.#at] !== '\n') this.#at += 1;
      } else return;
    }
  }

  #quotedLiterals(): PatternNode[] {
    const items: PatternNode[] = [];
    while (this.#at < this.#text.length && !this.#take('\\E')) items.push(this.#literal(this.#text[this.#at++]!));
    const last = items.pop();
    if (last !== undefined) items.push(this.#withQuantifiers(last));
    return items;
  }

  #repeated(): PatternNode {
    const start = this.#at;
    if (this.#quantifier() !== undefined) throw this.#error('quantifier does not follow a repeatable item', start);
    return this.#withQuantifiers(this.#atom());
  }

  #withQuantifiers(atom: PatternNode): PatternNode {
    this.#skipIgnored();
    const range = this.#quantifier();
    if (range === undefined) return atom;
    const mode = this.#take('+') ? 'possessive' : this.#take('?') !== this.#options.ungreedy ? 'lazy' : 'greedy';
    const start = this.#at;
    if (this.#quantifier() !== undefined) throw this.#error('quantifier does not follow a repeatable item', start);
    return { kind: 'repeat', body: atom, min: range[0], max: range[1], mode };
  }

  #quantifier(): [number, number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    if (!this.#looking('{')) return undefined;
    const found = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 30).join(''));
    // A brace that begins no quantifier stands for itself.
    if (found === null) return undefined;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY)) {
      throw this.#error('number too big in {} quantifier', this.#at + 6);
    }
    this.#at += found[0].length;
    if (max < min) throw this.#error('numbers out of order in {} quantifier', this.#at - 1);
    return [min, max];
  }

  #atom(): PatternNode {
    const start = this.#at;
    const character = this.#text[this.#at++]!;
    switch (character) {
      case '(':
        return this.#group(start);
      case '[':
        return this.#bracket();
      case '.':
        return { kind: 'set', set: this.#options.dotAll ? ANY : complement(NEWLINE) };
      case '^':
        return assertion(this.#options.multiLine ? 'line-start' : 'start');
      case '$':
        return assertion(this.#options.multiLine ? 'line-end' : this.#dollarEndOnly ? 'end' : 'end-or-final-newline');
      case '\\':
        return this.#escape(start);
      default:
        return this.#literal(character);
    }
  }

  #literal(character: string): PatternNode {
    const code = character.codePointAt(0)!;
    return { kind: 'set', set: this.#cased([[code, code]]) };
  }

  #cased(set: CharacterSet): CharacterSet {
    return this.#options.ignoreCase ? withBothCases(set) : set;
  }

  #group(start: number): PatternNode {
    if (this.#looking('*')) throw this.#unsupported('a backtracking verb', start);
    if (!this.#take('?')) return this.#captured();
    if (this.#take(':')) return this.#body();
    if (this.#take('>')) return { kind: 'atomic', body: this.#body() };
    if (this.#take('|')) throw this.#unsupported('(?| with reset group numbers', start);
    if (this.#take('=')) return { kind: 'look', ahead: true, negated: false, body: this.#body() };
    if (this.#take('!')) return { kind: 'look', ahead: true, negated: true, body: this.#body() };
    if (this.#take('<=')) return { kind: 'look', ahead: false, negated: false, body: this.#lookBehind(start) };
    if (this.#take('<!')) return { kind: 'look', ahead: false, negated: true, body: this.#lookBehind(start) };
    if (this.#take('P=')) return this.#namedReference(')', start);
    if (this.#take('P<') || this.#take('<')) return this.#captured(this.#groupName('>'));
    if (this.#take("'")) return this.#captured(this.#groupName("'"));
    if (
      this.#looking('R') ||
      this.#looking('&') ||
      this.#looking('P>') ||
      /^[0-9+]$/.test(this.#text[this.#at] ?? '')
    ) {
      throw this.#unsupported('recursion', start);
    }
    if (this.#looking('(')) throw this.#unsupported('a conditional subpattern', start);
    if (this.#looking('C')) throw this.#unsupported('a callout', start);
    return this.#optionSetting(start);
  }

  #captured(name?: string): PatternNode {
    const index = ++this.#groups;
    if (name !== undefined) this.#names.set(name, index);
    return { kind: 'group', index, body: this.#body() };
  }

  #body(): PatternNode {
    const body = this.#alternatives();
    if (!this.#take(')')) throw this.#error('missing closing parenthesis', this.#text.length);
    return body;
  }

  #lookBehind(start: number): PatternNode {
    const body = this.#body();
    const branches = body.kind === 'alternatives' ? body.items : [body];
    if (branches.some((branch) => fixedLength(branch) === undefined)) {
      throw this.#error('lookbehind assertion is not fixed length', start);
    }
    return body;
  }

  #groupName(end: string): string {
    const start = this.#at;
    while (/^\w$/.test(this.#text[this.#at] ?? '')) this.#at += 1;
    const name = this.#text.slice(start, this.#at).join('');
    if (name === '' || /^\d/.test(name)) throw this.#error('subpattern name expected', start);
    if (!this.#take(end)) throw this.#error('syntax error in subpattern name (missing terminator?)', this.#at);
    return name;
  }

  /** `(?i)` to the end of the group, `(?i:…)` for its own content. */
  #optionSetting(start: number): PatternNode {
    const changed: Record<string, boolean> = {};
    let value = true;
    for (;;) {
      const letter = this.#text[this.#at++];
      if (letter === '^')
        Object.assign(changed, { ignoreCase: false, multiLine: false, dotAll: false, extended: false });
      else if (letter === '-') value = false;
      else if (letter === 'J' || letter === 'n') throw this.#unsupported(`(?${letter})`, start);
      else if (letter === ')' || letter === ':') {
        return this.#applyOptions({ ...this.#options, ...changed }, letter === ':');
      } else if (letter !== undefined && Object.hasOwn(OPTION_LETTERS, letter))
        changed[OPTION_LETTERS[letter]!] = value;
      else throw this.#error('unrecognized character after (? or (?-', this.#at - 1);
    }
  }

  #applyOptions(options: LocalOptions, forGroup: boolean): PatternNode {
    const outer = this.#options;
    this.#options = options;
    // Without a colon they last until the end of the enclosing group, where #alternatives restores the outer ones.
    if (!forGroup) return EMPTY;
    const body = this.#body();
    this.#options = outer;
    return body;
  }

  #escape(start: number): PatternNode {
    const character = this.#text[this.#at++];
    if (character === undefined) throw this.#error('\\ at end of pattern', this.#at - 1);
    if (Object.hasOwn(CLASS_ESCAPES, character)) return { kind: 'set', set: CLASS_ESCAPES[character]! };
    switch (character) {
      case 'A':
        return assertion('start');
      case 'Z':
        return assertion('end-or-final-newline');
      case 'z':
        return assertion('end');
      case 'b':
        return assertion('word-boundary');
      case 'B':
        return assertion('not-word-boundary');
      case 'N':
        return { kind: 'set', set: complement(NEWLINE) };
      case 'R':
        return { kind: 'atomic', body: LINE_BREAK };
      case 'k':
        return this.#named(start);
      case 'g':
        return this.#numbered(start);
      case 'p':
      case 'P':
        return this.#property(character === 'P');
      case 'G':
      case 'K':
      case 'X':
      case 'C':
        throw this.#unsupported(`\\${character}`, start);
    }
    if (/^[1-9]$/.test(character)) {
      const digits = /^\d*/.exec(this.#text.slice(this.#at, this.#at + 5).join(''))![0];
      const number = Number(character + digits);
      if (number < 10 || number <= this.#groups) {
        this.#at += digits.length;
        return this.#reference(number, start + 1);
      }
    }
    return { kind: 'set', set: this.#cased(this.#codeEscape(character, start)) };
  }

  #reference(index: number | string, offset: number): PatternNode {
    const node = { kind: 'back-reference' as const, index: 0, ignoreCase: this.#options.ignoreCase };
    this.#references.push({ index, offset, node });
    return node;
  }

  #namedReference(end: string, start: number): PatternNode {
    return this.#reference(this.#groupName(end), start);
  }

  #named(start: number): PatternNode {
    for (const [open, close] of [
      ['<', '>'],
      ["'", "'"],
      ['{', '}'],
    ] as const) {
      if (this.#take(open)) return this.#namedReference(close, start);
    }
    throw this.#error('\\k is not followed by a braced, angle-bracketed, or quoted name', this.#at);
  }

  /** `\g1`, `\g{1}`, `\g{-1}`, `\g{name}` */
  #numbered(start: number): PatternNode {
    const found = /^(?:\{(-?\d+|\w+)\}|(-?\d+))/.exec(this.#text.slice(this.#at, this.#at + 40).join(''));
    if (found === null) throw this.#unsupported('a subroutine call', start);
    this.#at += found[0].length;
    const text = found[1] ?? found[2]!;
    if (!/^-?\d+$/.test(text)) return this.#reference(text, start);
    const number = Number(text);
    return this.#reference(number < 0 ? this.#groups + 1 + number : number, start);
  }

  #property(negated: boolean): PatternNode {
    const found = /^(?:\{(\^?)(\w+)\}|(\w))/.exec(this.#text.slice(this.#at, this.#at + 40).join(''));
    this.#at += found?.[0].length ?? 0;
    const set = found === null ? undefined : propertySet(found[2] ?? found[3]!);
    if (set === undefined) throw this.#error('unknown property after \\P or \\p', this.#at);
    return { kind: 'set', set: negated !== (found![1] === '^') ? complement(set) : set };
  }

  /** The character of an escape that stands for one. */
  #codeEscape(character: string, start: number): CharacterSet {
    const code = this.#code(character, start);
    return [[code, code]];
  }

  #code(character: string, start: number): number {
    if (Object.hasOwn(CONTROL_ESCAPES, character)) return CONTROL_ESCAPES[character]!;
    if (character === 'c') {
      const letter = this.#text[this.#at++];
      if (letter === undefined) throw this.#error('\\c at end of pattern', this.#at - 1);
      return letter.toUpperCase().charCodeAt(0) ^ 64;
    }
    const rest = this.#text.slice(this.#at, this.#at + 12).join('');
    if (character === 'x') return this.#number(/^(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{0,2}))/.exec(rest)!, 16, start);
    if (character === 'o') {
      const found = /^\{([0-7]{1,7})\}/.exec(rest);
      if (found === null) throw this.#error('missing opening brace after \\o', this.#at);
      return this.#number(found, 8, start);
    }
    if (/^[0-7]$/.test(character)) {
      const more = /^[0-7]{0,2}/.exec(rest)![0];
      this.#at += more.length;
      return Number.parseInt(character + more, 8) & 0xff;
    }
    if (/^[a-zA-Z]$/.test(character)) throw this.#error('unrecognized character follows \\', start + 1);
    return character.codePointAt(0)!;
  }

  #number(found: RegExpExecArray, base: number, start: number): number {
    this.#at += found[0].length;
    const code = Number.parseInt(found[1] ?? (found[2] || '0'), base);
    if (code > 0x10ffff) throw this.#error('character code point value in \\x{} or \\o{} is too large', start);
    return code;
  }

  #bracket(): PatternNode {
    const negated = this.#take('^');
    const sets: CharacterSet[] = [];
    for (let first = true; first || !this.#looking(']'); first = false) {
      if (this.#at >= this.#text.length)
        throw this.#error('missing terminating ] for character class', this.#text.length);
      sets.push(this.#bracketItem());
    }
    this.#at += 1;
    const set = this.#cased(union(...sets));
    return { kind: 'set', set: negated ? complement(set) : set };
  }

  #bracketItem(): CharacterSet {
    const named = /^\[:(\^?)(\w*):\]/.exec(this.#text.slice(this.#at, this.#at + 20).join(''));
    if (named !== null) {
      const set = named[2] === 'word' ? WORD : POSIX_CLASSES[named[2]!];
      if (set === undefined) throw this.#error('unknown POSIX class name', this.#at + 2);
      this.#at += named[0].length;
      return named[1] === '^' ? complement(set) : set;
    }
    const from = this.#bracketCharacter();
    if (from.length !== 1 || from[0]![0] !== from[0]![1] || !this.#looking('-') || this.#text[this.#at + 1] === ']')
      return from;
    if (this.#at + 1 >= this.#text.length) return from;
    this.#at += 1;
    const to = this.#bracketCharacter();
    if (to.length !== 1 || to[0]![0] !== to[0]![1]) return union(from, setOfText('-'), to);
    if (to[0]![0] < from[0]![0]) throw this.#error('range out of order in character class', this.#at - 1);
    return [[from[0]![0], to[0]![0]]];
  }

  #bracketCharacter(): CharacterSet {
    const start = this.#at;
    const character = this.#text[this.#at++];
    if (character === undefined) throw this.#error('missing terminating ] for character class', this.#text.length);
    if (character !== '\\') return setOfText(character);
    const escaped = this.#text[this.#at++];
    if (escaped === undefined) throw this.#error('\\ at end of pattern', this.#at - 1);
    if (Object.hasOwn(CLASS_ESCAPES, escaped)) return CLASS_ESCAPES[escaped]!;
    if (escaped === 'b') return [[8, 8]];
    if (escaped === 'p' || escaped === 'P') {
      const node = this.#property(escaped === 'P');
      return node.kind === 'set' ? node.set : [];
    }
    return this.#codeEscape(escaped, start);
  }
}

function assertion(kind: Assertion): PatternNode {
  return { kind: 'assertion', assertion: kind };
}
