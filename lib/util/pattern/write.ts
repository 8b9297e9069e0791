/**
 * Writes a pattern's tree as source text: for V8's RegExp, which knows all that a tree can hold, and for RE2, which has
 * neither look-around, back-references nor atomic groups.
 */
import type { CharacterSet } from './character-set.ts';
import type { Assertion, Pattern, PatternNode } from './syntax.ts';

/** A source text, and where its groups are: number in the pattern → number in the text. */
export interface WrittenPattern {
  readonly source: string;
  readonly groups: readonly number[];
}

type Dialect = 'ascii' | 'unicode' | 're2';

const WORD = '[0-9A-Za-z_]';

const V8_ASSERTIONS: Readonly<Record<Assertion, string>> = {
  start: '^',
  end: '$',
  'end-or-final-newline': '(?=\\n?$)',
  'line-start': '(?<![^\\n])',
  'line-end': '(?![^\\n])',
  'word-boundary': '\\b',
  'not-word-boundary': '\\B',
  'word-start': `(?<!${WORD})(?=${WORD})`,
  'word-end': `(?<=${WORD})(?!${WORD})`,
};

const RE2_ASSERTIONS: Readonly<Partial<Record<Assertion, string>>> = {
  start: '\\A',
  end: '\\z',
  'line-start': '(?m:^)',
  'line-end': '(?m:$)',
  'word-boundary': '\\b',
  'not-word-boundary': '\\B',
};

/** For V8. `ascii` is for texts of ASCII alone and faster; `unicode` wants the `u` flag. */
export function writeForV8(pattern: Pattern, dialect: 'ascii' | 'unicode'): WrittenPattern {
  const writer = new Writer(dialect);
  const source = writer.write(pattern.root, true);
  return { source, groups: writer.groups };
}

/** For RE2, undefined where it cannot say the same. */
export function writeForRe2(pattern: Pattern): WrittenPattern | undefined {
  const writer = new Writer('re2');
  const source = writer.write(pattern.root, true);
  return writer.failed ? undefined : { source, groups: writer.groups };
}

class Writer {
  readonly groups: number[] = [0];
  failed = false;
  readonly #dialect: Dialect;
  #opened = 0;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** `last`: nothing of the pattern comes after the node. */
  write(node: PatternNode, last: boolean): string {
    switch (node.kind) {
      case 'set':
        return writeSet(node.set, this.#dialect);
      case 'sequence':
        return node.items.map((item, at) => this.write(item, last && at === node.items.length - 1)).join('');
      case 'alternatives':
        return `(?:${node.items.map((item) => this.write(item, last)).join('|')})`;
      case 'group':
        this.groups[node.index] = ++this.#opened;
        return `(${this.write(node.body, last)})`;
      case 'repeat':
        return this.#writeRepeat(node);
      case 'assertion':
        return this.#writeAssertion(node.assertion, last);
      case 'look':
        if (this.#dialect === 're2') return this.#fail();
        return `(?${node.ahead ? '' : '<'}${node.negated ? '!' : '='}${this.write(node.body, false)})`;
      case 'atomic':
        return this.#writeAtomic(node.body);
      case 'back-reference':
        return this.#writeReference(node);
    }
  }

  #fail(): string {
    this.failed = true;
    return '';
  }

  #writeRepeat(node: PatternNode & { kind: 'repeat' }): string {
    const { min, max } = node;
    if (node.mode === 'possessive') return this.#writeAtomic({ ...node, mode: 'greedy' });
    // RE2 limits the size of what a counted repetition unfolds to.
    if (this.#dialect === 're2' && (min > 1000 || (max > 1000 && max !== Number.POSITIVE_INFINITY)))
      return this.#fail();
    const count =
      max === Number.POSITIVE_INFINITY
        ? min === 0
          ? '*'
          : min === 1
            ? '+'
            : `{${min},}`
        : min === 0 && max === 1
          ? '?'
          : `{${min},${max}}`;
    return `(?:${this.write(node.body, false)})${count}${node.mode === 'lazy' ? '?' : ''}`;
  }

  #writeAssertion(assertion: Assertion, last: boolean): string {
    if (this.#dialect !== 're2') return V8_ASSERTIONS[assertion];
    if (assertion === 'end-or-final-newline') return last ? '(?:\\n?\\z)' : this.#fail();
    return RE2_ASSERTIONS[assertion] ?? this.#fail();
  }

  /** A group that gives nothing back: matched in a look-ahead, which never does, and then taken as a whole. */
  #writeAtomic(body: PatternNode): string {
    if (this.#dialect === 're2') return this.#fail();
    const number = ++this.#opened;
    return `(?:(?=(${this.write(body, false)}))\\${number})`;
  }

  #writeReference(node: PatternNode & { kind: 'back-reference' }): string {
    const number = this.groups[node.index];
    // A reference to a group that is not open yet never matches.
    if (this.#dialect === 're2' || number === undefined) return this.#dialect === 're2' ? this.#fail() : '(?!)';
    return node.ignoreCase ? `(?i:\\${number})` : `(?:\\${number})`;
  }
}

function writeSet(set: CharacterSet, dialect: Dialect): string {
  const last = dialect === 'ascii' ? 0x7f : 0x10ffff;
  const ranges = set.filter(([from]) => from <= last);
  if (ranges.length === 0) return dialect === 're2' ? '[^\\x{0}-\\x{10FFFF}]' : '(?!)';
  const reachesEnd = ranges.at(-1)![1] >= last;
  if (ranges.length === 1 && ranges[0]![0] === 0 && reachesEnd) return dialect === 're2' ? '(?s:.)' : '[^]';
  const only = ranges[0]!;
  if (ranges.length === 1 && only[0] === only[1]) return writeCode(only[0], dialect);
  if (!reachesEnd) return `[${ranges.map((range) => writeRange(range, dialect)).join('')}]`;
  // A set that reaches to the last character is shorter by what it lacks.
  let next = 0;
  let lacking = '';
  for (const [from, to] of ranges) {
    if (from > next) lacking += writeRange([next, from - 1], dialect);
    next = to + 1;
  }
  return `[^${lacking}]`;
}

function writeRange([from, to]: readonly [number, number], dialect: Dialect): string {
  const start = writeCode(from, dialect);
  return from === to ? start : `${start}-${writeCode(to, dialect)}`;
}

function writeCode(code: number, dialect: Dialect): string {
  const character = String.fromCharCode(code);
  if (code < 0x80 && /[0-9A-Za-z@_ ]/.test(character)) return character;
  if (dialect === 're2') return `\\x{${code.toString(16)}}`;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return dialect === 'unicode' ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
