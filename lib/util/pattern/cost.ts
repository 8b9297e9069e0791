/**
 * How long a backtracking engine can take, from the shape of a pattern alone: an upper bound of the form
 * factor × length^degree, or infinite where the bound is not a polynomial. It is generous: many patterns do better, none
 * does worse.
 *
 * Under an unbounded repetition only what is deterministic is safe: at each step the next character says which place of
 * the pattern comes next (one-unambiguous in the sense of Brüggemann-Klein). Then a repetition has one way to match a given
 * text, and its degree is 1. All else under such a repetition may have exponentially many.
 */
import { type CharacterSet, overlap } from './character-set.ts';
import { contains, type Pattern, type PatternNode } from './syntax.ts';

export interface Cost {
  readonly degree: number;
  readonly factor: number;
}

const INFINITE: Cost = { degree: Number.POSITIVE_INFINITY, factor: 1 };
const CONSTANT: Cost = { degree: 0, factor: 1 };

/** The bound for finding a match anywhere in a text. */
export function backtrackingCost(pattern: Pattern): Cost {
  const cost = nodeCost(pattern.root);
  return startsAnchored(pattern.root) ? cost : { degree: cost.degree + 1, factor: cost.factor };
}

/** The number of steps that the bound allows for a text of that length. */
export function steps(cost: Cost, length: number): number {
  return cost.factor * Math.max(length, 1) ** cost.degree;
}

function nodeCost(node: PatternNode): Cost {
  switch (node.kind) {
    case 'set':
    case 'assertion':
      return CONSTANT;
    case 'back-reference':
      return { degree: 1, factor: 1 };
    case 'group':
    case 'atomic':
    case 'look':
      return nodeCost(node.body);
    case 'sequence':
      return isDeterministic(node) ? deterministicCost(node) : node.items.map(nodeCost).reduce(multiply, CONSTANT);
    case 'alternatives':
      if (isDeterministic(node)) return deterministicCost(node);
      return node.items
        .map(nodeCost)
        .reduce((sum, cost) => ({ degree: Math.max(sum.degree, cost.degree), factor: sum.factor + cost.factor }), {
          degree: 0,
          factor: 0,
        });
    case 'repeat':
      return repeatCost(node);
  }
}

function deterministicCost(node: PatternNode): Cost {
  return { degree: contains(node, (part) => part.kind === 'repeat' && part.max > MAX_UNFOLDED) ? 1 : 0, factor: 1 };
}

function multiply(a: Cost, b: Cost): Cost {
  return { degree: a.degree + b.degree, factor: a.factor * b.factor };
}

function repeatCost(node: PatternNode & { kind: 'repeat' }): Cost {
  const body = nodeCost(node.body);
  if (node.max <= 1) return { degree: body.degree, factor: body.factor + 1 };
  if (node.max === Number.POSITIVE_INFINITY || node.max > MAX_UNFOLDED) {
    return isDeterministic({ ...node, min: 0, max: Number.POSITIVE_INFINITY }) ? { degree: 1, factor: 1 } : INFINITE;
  }
  // A bounded one is as many optional copies in a row.
  const factor = body.factor ** node.max * (node.max - node.min + 1);
  return factor > 1e9 ? INFINITE : { degree: body.degree * node.max, factor };
}

/** Bounded repetitions up to this count are unfolded, longer ones count as unbounded. */
const MAX_UNFOLDED = 8;
const MAX_PLACES = 300;

/** Places of the pattern that match a character, and which can follow which. */
interface Automaton {
  readonly sets: CharacterSet[];
  readonly follow: number[][];
}

interface Fragment {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly nullable: boolean;
}

class NotSimple extends Error {}

/** True where each text is matched in one way at most, seen from any place in it. */
function isDeterministic(node: PatternNode): boolean {
  const automaton: Automaton = { sets: [], follow: [] };
  try {
    const whole = build(node, automaton);
    return [whole.first, ...automaton.follow].every((next) => isUnambiguous(next, automaton));
  } catch (error) {
    if (error instanceof NotSimple) return false;
    throw error;
  }
}

function isUnambiguous(next: readonly number[], automaton: Automaton): boolean {
  for (let i = 0; i < next.length; i++) {
    for (let j = i + 1; j < next.length; j++) {
      // The same place twice means two ways to get there.
      if (next[i] === next[j] || overlap(automaton.sets[next[i]!]!, automaton.sets[next[j]!]!)) return false;
    }
  }
  return true;
}

function build(node: PatternNode, automaton: Automaton): Fragment {
  switch (node.kind) {
    case 'set': {
      if (automaton.sets.length >= MAX_PLACES) throw new NotSimple();
      const place = automaton.sets.push(node.set) - 1;
      automaton.follow.push([]);
      return { first: [place], last: [place], nullable: false };
    }
    case 'group':
      return build(node.body, automaton);
    case 'sequence':
      return node.items.reduce<Fragment>((left, item) => join(left, build(item, automaton), automaton), NOTHING);
    case 'alternatives': {
      const parts = node.items.map((item) => build(item, automaton));
      if (parts.filter((part) => part.nullable).length > 1) throw new NotSimple();
      return {
        first: parts.flatMap((part) => part.first),
        last: parts.flatMap((part) => part.last),
        nullable: parts.some((part) => part.nullable),
      };
    }
    case 'repeat':
      return buildRepeat(node, automaton);
    // An assertion only takes ways away.
    case 'assertion':
      return NOTHING;
    default:
      throw new NotSimple();
  }
}

const NOTHING: Fragment = { first: [], last: [], nullable: true };

function join(left: Fragment, right: Fragment, automaton: Automaton): Fragment {
  for (const place of left.last) automaton.follow[place]!.push(...right.first);
  return {
    first: left.nullable ? [...left.first, ...right.first] : left.first,
    last: right.nullable ? [...left.last, ...right.last] : right.last,
    nullable: left.nullable && right.nullable,
  };
}

function buildRepeat(node: PatternNode & { kind: 'repeat' }, automaton: Automaton): Fragment {
  if (node.max <= MAX_UNFOLDED) {
    let whole = NOTHING;
    for (let count = 0; count < node.max; count++) {
      const copy = build(node.body, automaton);
      if (copy.nullable && node.max > 1) throw new NotSimple();
      whole = join(whole, count < node.min ? copy : { ...copy, nullable: true }, automaton);
    }
    return whole;
  }
  // What comes before the loop in a longer minimum is the loop's own body: counting does not change what can follow.
  const body = build(node.body, automaton);
  if (body.nullable) throw new NotSimple();
  for (const place of body.last) automaton.follow[place]!.push(...body.first);
  return { ...body, nullable: node.min === 0 };
}

function startsAnchored(node: PatternNode): boolean {
  switch (node.kind) {
    case 'assertion':
      return node.assertion === 'start';
    case 'group':
    case 'atomic':
      return startsAnchored(node.body);
    case 'sequence':
      return node.items.length > 0 && startsAnchored(node.items[0]!);
    case 'alternatives':
      return node.items.every(startsAnchored);
    default:
      return false;
  }
}
