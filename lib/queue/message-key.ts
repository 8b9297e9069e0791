/**
 * The key of a message: the address at which its entry was first written. It never changes, wherever the entry moves.
 */
export interface MessageKey {
  /** Which life of which stream: `log.log` in Postgres. */
  readonly log: number;
  readonly sequence: number;
  readonly entry: number;
}

export const keyText = (key: MessageKey): string => `${key.log}:${key.sequence}:${key.entry}`;

/** The order in which rows are locked, everywhere: no two transactions wait for each other. */
export function compareKeys(a: MessageKey, b: MessageKey): number {
  return a.log - b.log || a.sequence - b.sequence || a.entry - b.entry;
}

/** Keys as the three arrays that `unnest($1::int[], $2::bigint[], $3::int[])` takes. */
export const keyColumns = (keys: readonly MessageKey[]): [number[], number[], number[]] => [
  keys.map((key) => key.log),
  keys.map((key) => key.sequence),
  keys.map((key) => key.entry),
];
