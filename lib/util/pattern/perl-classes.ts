/** The named sets of Perl's syntax: `\d`, `\h`, `\R`, `\p{…}` and their like. */
import { ANY, type CharacterSet, complement, DIGIT, SPACE, setOf, WORD } from './character-set.ts';
import { alternatives, type PatternNode, sequence } from './syntax.ts';

const HORIZONTAL_SPACE = setOf(
  [9, 9],
  [32, 32],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x180e, 0x180e],
  [0x2000, 0x200a],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
);
const VERTICAL_SPACE = setOf([10, 13], [0x85, 0x85], [0x2028, 0x2029]);

export const CLASS_ESCAPES: Readonly<Record<string, CharacterSet>> = {
  d: DIGIT,
  D: complement(DIGIT),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
  h: HORIZONTAL_SPACE,
  H: complement(HORIZONTAL_SPACE),
  v: VERTICAL_SPACE,
  V: complement(VERTICAL_SPACE),
};

export const CONTROL_ESCAPES: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 };

/** `\R` */
export const LINE_BREAK: PatternNode = alternatives([
  sequence([
    { kind: 'set', set: [[13, 13]] },
    { kind: 'set', set: [[10, 10]] },
  ]),
  { kind: 'set', set: VERTICAL_SPACE },
]);

const propertySets = new Map<string, CharacterSet | undefined>();

/** The characters with a Unicode property, asked of the engine one by one the first time; undefined for no such property. */
export function propertySet(name: string): CharacterSet | undefined {
  if (!propertySets.has(name)) propertySets.set(name, computeProperty(name));
  return propertySets.get(name);
}

function computeProperty(name: string): CharacterSet | undefined {
  if (name === 'Any') return ANY;
  let test: RegExp | undefined;
  for (const source of [`\\p{${name}}`, `\\p{Script=${name}}`]) {
    try {
      test ??= new RegExp(source, 'u');
    } catch {
      // Not that kind of property; the caller reports a name that is none at all.
    }
  }
  if (test === undefined) return undefined;
  const ranges: [number, number][] = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    if (!test.test(String.fromCodePoint(code))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === code - 1) last[1] = code;
    else ranges.push([code, code]);
  }
  return ranges;
}
