/**
 * Reads POSIX extended and basic regular expressions (regex(7), IEEE 1003.1 chapter 9), with what GNU systems add:
 * `\w \W \s \S \b \B \< \> \` \'`, back-references in both kinds, `\+ \? \|` in basic ones. Messages are those of the GNU C
 * library. Limit: collating elements other than single characters, and equivalence classes, stand for themselves.
 */
import {
  ANY,
  type CharacterSet,
  complement,
  NEWLINE,
  POSIX_CLASSES,
  SPACE,
  setOf,
  union,
  WORD,
  withBothCases,
} from './character-set.ts';
import {
  type Assertion,
  alternatives,
  type Pattern,
  type PatternNode,
  PatternSyntaxError,
  sequence,
} from './syntax.ts';

export interface PosixOptions {
  readonly extended: boolean;
  readonly ignoreCase: boolean;
  /** `^` and `$` match at line ends, and neither `.` nor `[^…]` matches a newline. */
  readonly multiLine: boolean;
}

/** RE_DUP_MAX of the GNU C library. */
const MAX_REPEAT = 32767;
const MAX_DEPTH = 250;

/** Throws PatternSyntaxError. */
export function parsePosix(text: string, options: PosixOptions): Pattern {
  return new PosixParser(text, options).parse();
}

class PosixParser {
  readonly #text: string[];
  readonly #options: PosixOptions;
  #at = 0;
  #groups = 0;
  #closed = new Set<number>();
  #depth = 0;

  constructor(text: string, options: PosixOptions) {
    this.#text = Array.from(text);
    this.#options = options;
  }

  parse(): Pattern {
    const root = this.#alternatives();
    if (this.#at < this.#text.length) throw new PatternSyntaxError('Unmatched ) or \\)');
    return { root, groups: this.#groups, longest: true };
  }

  #alternatives(): PatternNode {
    if (++this.#depth > MAX_DEPTH) throw new PatternSyntaxError('Regular expression too big');
    const items = [this.#sequence()];
    while (this.#takeOperator('|')) items.push(this.#sequence());
    this.#depth -= 1;
    return alternatives(items);
  }

  #sequence(): PatternNode {
    const items: PatternNode[] = [];
    for (let first = true; !this.#atEnd(); first = false) items.push(this.#repeated(first));
    return sequence(items);
  }

  /** The end of the text, of a group, or of an alternative. */
  #atEnd(): boolean {
    if (this.#at >= this.#text.length) return true;
    // An extended expression may hold a closing parenthesis that closes nothing; it stands for itself.
    return this.#isOperator('|') || (this.#isOperator(')') && (this.#depth > 1 || !this.#options.extended));
  }

  #isOperator(character: string): boolean {
    if (this.#options.extended) return this.#text[this.#at] === character;
    return this.#text[this.#at] === '\\' && this.#text[this.#at + 1] === character;
  }

  #takeOperator(character: string): boolean {
    if (!this.#isOperator(character)) return false;
    this.#at += this.#options.extended ? 1 : 2;
    return true;
  }

  #repeated(first: boolean): PatternNode {
    let node = this.#atom(first);
    for (;;) {
      const range = this.#repetition();
      if (range === undefined) return node;
      const repeatsStart = node.kind === 'assertion' && node.assertion.endsWith('start') && this.#options.extended;
      if (repeatsStart) throw new PatternSyntaxError('Invalid preceding regular expression');
      node = { kind: 'repeat', body: node, min: range[0], max: range[1], mode: 'greedy' };
    }
  }

  #repetition(): [number, number] | undefined {
    if (this.#text[this.#at] === '*') {
      this.#at += 1;
      return [0, Number.POSITIVE_INFINITY];
    }
    if (this.#takeOperator('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#takeOperator('?')) return [0, 1];
    return this.#isOperator('{') ? this.#interval() : undefined;
  }

  #interval(): [number, number] {
    const rest = this.#text.slice(this.#at, this.#at + 20).join('');
    const syntax = this.#options.extended ? /^\{(\d*)(?:(,)(\d*))?\}/ : /^\\\{(\d*)(?:(,)(\d*))?\\\}/;
    const found = syntax.exec(rest);
    if (found === null || (found[1] === '' && found[2] === undefined)) {
      throw new PatternSyntaxError(rest.includes('}') ? 'Invalid content of \\{\\}' : 'Unmatched \\{');
    }
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === '' ? Number.POSITIVE_INFINITY : Number(found[3]);
    if (min > max) throw new PatternSyntaxError('Invalid content of \\{\\}');
    if (min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY)) {
      throw new PatternSyntaxError('Regular expression too big');
    }
    this.#at += found[0].length;
    return [min, max];
  }

  #atom(first: boolean): PatternNode {
    if (this.#takeOperator('(')) return this.#group();
    const character = this.#text[this.#at]!;
    const { extended } = this.#options;
    switch (character) {
      case '[':
        this.#at += 1;
        return this.#bracket();
      case '.':
        this.#at += 1;
        return { kind: 'set', set: this.#options.multiLine ? complement(NEWLINE) : ANY };
      case '\\':
        return this.#escape();
      case '^':
        if (!extended && !first) break;
        this.#at += 1;
        return assertion(this.#options.multiLine ? 'line-start' : 'start');
      case '$':
        if (!extended && !this.#endsHere(1)) break;
        this.#at += 1;
        return assertion(this.#options.multiLine ? 'line-end' : 'end');
      case '*':
      case '+':
      case '?':
        // In a basic expression an asterisk with nothing before it stands for itself.
        if (extended) throw new PatternSyntaxError('Invalid preceding regular expression');
        break;
      case '{':
        if (extended) throw new PatternSyntaxError('Invalid preceding regular expression');
        break;
    }
    this.#at += 1;
    return this.#literal(character);
  }

  /** In a basic expression `$` is special only before the end of the expression, of a group or of an alternative. */
  #endsHere(ahead: number): boolean {
    const next = this.#text.slice(this.#at + ahead, this.#at + ahead + 2).join('');
    return next === '' || next === '\\)' || next === '\\|';
  }

  #literal(character: string): PatternNode {
    const code = character.codePointAt(0)!;
    return { kind: 'set', set: this.#cased([[code, code]]) };
  }

  #cased(set: CharacterSet): CharacterSet {
    return this.#options.ignoreCase ? withBothCases(set) : set;
  }

  #group(): PatternNode {
    const index = ++this.#groups;
    const body = this.#alternatives();
    if (!this.#takeOperator(')')) throw new PatternSyntaxError('Unmatched ( or \\(');
    this.#closed.add(index);
    return { kind: 'group', index, body };
  }

  #escape(): PatternNode {
    const character = this.#text[this.#at + 1];
    if (character === undefined) throw new PatternSyntaxError('Trailing backslash');
    this.#at += 2;
    switch (character) {
      case 'w':
        return { kind: 'set', set: WORD };
      case 'W':
        return { kind: 'set', set: complement(WORD) };
      case 's':
        return { kind: 'set', set: SPACE };
      case 'S':
        return { kind: 'set', set: complement(SPACE) };
      case 'b':
        return assertion('word-boundary');
      case 'B':
        return assertion('not-word-boundary');
      case '<':
        return assertion('word-start');
      case '>':
        return assertion('word-end');
      case '`':
        return assertion('start');
      case "'":
        return assertion('end');
    }
    if (character >= '1' && character <= '9') return this.#backReference(Number(character));
    return this.#literal(character);
  }

  #backReference(index: number): PatternNode {
    if (!this.#closed.has(index)) throw new PatternSyntaxError('Invalid back reference');
    return { kind: 'back-reference', index, ignoreCase: this.#options.ignoreCase };
  }

  #bracket(): PatternNode {
    const negated = this.#text[this.#at] === '^';
    if (negated) this.#at += 1;
    const sets: CharacterSet[] = [];
    for (let first = true; first || this.#text[this.#at] !== ']'; first = false) {
      if (this.#at >= this.#text.length) throw unmatchedBracket();
      sets.push(this.#bracketItem());
    }
    this.#at += 1;
    let set = this.#cased(union(...sets));
    if (negated) set = complement(this.#options.multiLine ? union(set, NEWLINE) : set);
    return { kind: 'set', set };
  }

  #bracketItem(): CharacterSet {
    if (this.#text[this.#at] === '[' && this.#text[this.#at + 1] === ':') {
      const name = this.#delimited(':');
      const set = Object.hasOwn(POSIX_CLASSES, name) ? POSIX_CLASSES[name] : undefined;
      if (set === undefined) throw new PatternSyntaxError('Invalid character class name');
      return set;
    }
    const from = this.#bracketCharacter();
    const isRange =
      this.#text[this.#at] === '-' && this.#text[this.#at + 1] !== ']' && this.#at + 1 < this.#text.length;
    if (!isRange) return [[from, from]];
    this.#at += 1;
    const to = this.#bracketCharacter();
    if (to < from) throw new PatternSyntaxError('Invalid range end');
    return setOf([from, to]);
  }

  #bracketCharacter(): number {
    const next = this.#text[this.#at + 1];
    if (this.#text[this.#at] === '[' && (next === '.' || next === '=')) {
      const element = Array.from(this.#delimited(next));
      if (element.length !== 1) throw new PatternSyntaxError('Invalid collation character');
      return element[0]!.codePointAt(0)!;
    }
    const character = this.#text[this.#at++];
    if (character === undefined) throw unmatchedBracket();
    return character.codePointAt(0)!;
  }

  /** The text of `[:text:]`. */
  #delimited(mark: string): string {
    let end = this.#at + 2;
    while (end < this.#text.length && !(this.#text[end] === mark && this.#text[end + 1] === ']')) end += 1;
    if (end >= this.#text.length) throw unmatchedBracket();
    const text = this.#text.slice(this.#at + 2, end).join('');
    this.#at = end + 2;
    return text;
  }
}

function assertion(kind: Assertion): PatternNode {
  return { kind: 'assertion', assertion: kind };
}

function unmatchedBracket(): PatternSyntaxError {
  return new PatternSyntaxError('Unmatched [, [^, [:, [., or [=');
}
