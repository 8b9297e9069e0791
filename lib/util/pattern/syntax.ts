/**
 * Regular expressions as trees: what the parsers of POSIX and Perl syntax make, and what the writers for V8's engine and
 * for the linear-time engine start from. Case, dot and the flags of the pattern are resolved by the parser: a tree means the
 * same wherever it stands.
 */
import type { CharacterSet } from './character-set.ts';

export type Assertion =
  | 'start' // of the text
  | 'end' // of the text
  | 'end-or-final-newline'
  | 'line-start'
  | 'line-end'
  | 'word-boundary'
  | 'not-word-boundary'
  | 'word-start'
  | 'word-end';

export type PatternNode =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'alternatives'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'group'; readonly index: number; readonly body: PatternNode }
  | {
      readonly kind: 'repeat';
      readonly body: PatternNode;
      readonly min: number;
      readonly max: number;
      readonly mode: 'greedy' | 'lazy' | 'possessive';
    }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | { readonly kind: 'look'; readonly ahead: boolean; readonly negated: boolean; readonly body: PatternNode }
  | { readonly kind: 'atomic'; readonly body: PatternNode }
  | { readonly kind: 'back-reference'; readonly index: number; readonly ignoreCase: boolean };

export interface Pattern {
  readonly root: PatternNode;
  /** Number of capturing groups. */
  readonly groups: number;
  /** Of several matches at one place the longest counts, as POSIX says; otherwise the first that is found. */
  readonly longest: boolean;
}

/** The text is no regular expression of that syntax. The message is the one of the library that Postfix uses. */
export class PatternSyntaxError extends Error {
  override readonly name = 'PatternSyntaxError';
  /** Place in the text, in characters; -1 where the library does not say. */
  readonly offset: number;

  constructor(message: string, offset = -1) {
    super(message);
    this.offset = offset;
  }
}

export const EMPTY: PatternNode = { kind: 'sequence', items: [] };

export function sequence(items: readonly PatternNode[]): PatternNode {
  return items.length === 1 ? items[0]! : { kind: 'sequence', items };
}

export function alternatives(items: readonly PatternNode[]): PatternNode {
  return items.length === 1 ? items[0]! : { kind: 'alternatives', items };
}

/** True where some node of the tree fits. */
export function contains(node: PatternNode, fits: (node: PatternNode) => boolean): boolean {
  if (fits(node)) return true;
  if ('items' in node) return node.items.some((item) => contains(item, fits));
  return 'body' in node && contains(node.body, fits);
}

/** How many characters the node matches, undefined where that varies. */
export function fixedLength(node: PatternNode): number | undefined {
  switch (node.kind) {
    case 'set':
      return 1;
    case 'assertion':
    case 'look':
      return 0;
    case 'back-reference':
      return undefined;
    case 'group':
    case 'atomic':
      return fixedLength(node.body);
    case 'repeat': {
      const length = fixedLength(node.body);
      return length === undefined || node.min !== node.max ? undefined : length * node.min;
    }
    case 'sequence': {
      const lengths = node.items.map(fixedLength);
      return lengths.includes(undefined) ? undefined : lengths.reduce((sum: number, length) => sum + length!, 0);
    }
    case 'alternatives': {
      const lengths = new Set(node.items.map(fixedLength));
      return lengths.size === 1 ? [...lengths][0] : undefined;
    }
  }
}
