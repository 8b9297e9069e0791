/** Sets of characters as sorted, disjoint ranges of code points: what one step of a pattern matches. */
import { caseFold } from '../case-fold.ts';

/** `[from, to]` pairs, both ends included, ascending, not touching. */
export type CharacterSet = readonly (readonly [number, number])[];

const LAST = 0x10ffff;

export function setOf(...ranges: (readonly [number, number])[]): CharacterSet {
  const sorted = ranges.filter(([from, to]) => from <= to).sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

export function setOfText(text: string): CharacterSet {
  return setOf(
    ...Array.from(text, (character): [number, number] => [character.codePointAt(0)!, character.codePointAt(0)!]),
  );
}

export function union(...sets: CharacterSet[]): CharacterSet {
  return setOf(...sets.flat());
}

export function complement(set: CharacterSet): CharacterSet {
  const ranges: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) ranges.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) ranges.push([next, LAST]);
  return ranges;
}

export function overlap(a: CharacterSet, b: CharacterSet): boolean {
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [from, to] = a[i]!;
    const [otherFrom, otherTo] = b[j]!;
    if (from <= otherTo && otherFrom <= to) return true;
    if (to < otherTo) i += 1;
    else j += 1;
  }
  return false;
}

export const ANY: CharacterSet = [[0, LAST]];
export const NEWLINE: CharacterSet = setOfText('\n');
export const DIGIT: CharacterSet = [[0x30, 0x39]];
export const WORD: CharacterSet = setOf([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]);
/** The white space of isspace(3) in the C locale. */
export const SPACE: CharacterSet = setOf([9, 13], [32, 32]);

/** The named classes of POSIX, in the C locale. */
export const POSIX_CLASSES: Readonly<Record<string, CharacterSet>> = {
  alnum: setOf([0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]),
  alpha: setOf([0x41, 0x5a], [0x61, 0x7a]),
  blank: setOfText(' \t'),
  cntrl: setOf([0, 31], [127, 127]),
  digit: DIGIT,
  graph: setOf([33, 126]),
  lower: setOf([0x61, 0x7a]),
  print: setOf([32, 126]),
  punct: setOf([33, 47], [58, 64], [91, 96], [123, 126]),
  space: SPACE,
  upper: setOf([0x41, 0x5a]),
  xdigit: setOf([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]),
};

/** Ranges longer than this and beyond ASCII are taken to hold both cases of their letters already. */
const LONGEST_FOLDED_RANGE = 2048;

/** The set with the other case of each of its letters. */
export function withBothCases(set: CharacterSet): CharacterSet {
  const more: [number, number][] = [];
  for (const [from, to] of set) {
    const upper: [number, number] = [Math.max(from, 0x41), Math.min(to, 0x5a)];
    const lower: [number, number] = [Math.max(from, 0x61), Math.min(to, 0x7a)];
    if (upper[0] <= upper[1]) more.push([upper[0] + 32, upper[1] + 32]);
    if (lower[0] <= lower[1]) more.push([lower[0] - 32, lower[1] - 32]);
    if (to < 0x80 || to - Math.max(from, 0x80) > LONGEST_FOLDED_RANGE) continue;
    for (let code = Math.max(from, 0x80); code <= to; code++) addCases(code, more);
  }
  return setOf(...set, ...more);
}

function addCases(code: number, more: [number, number][]): void {
  if (code >= 0xd800 && code <= 0xdfff) return;
  const character = String.fromCodePoint(code);
  for (const variant of [character.toLowerCase(), character.toUpperCase(), caseFold(character)]) {
    const other = variant.codePointAt(0)!;
    if (String.fromCodePoint(other) === variant) more.push([other, other]);
  }
}
