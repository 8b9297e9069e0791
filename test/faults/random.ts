/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** From 0 to below 1. */
  next(): number;
  /** An integer from 0 to below `limit`. */
  below(limit: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
}

/** A linear congruential sequence with its output mixed (PCG-XSH-RR, 64 bits of state). */
export function seeded(seed: number): Random {
  const mask = (1n << 64n) - 1n;
  let state = (BigInt(seed) * 2n + 1n) & mask;
  const word = (): number => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & mask;
    const mixed = Number((((state >> 18n) ^ state) >> 27n) & 0xffffffffn);
    const rotation = Number(state >> 59n);
    return ((mixed >>> rotation) | (mixed << (-rotation & 31))) >>> 0;
  };
  word();
  const next = (): number => word() / 2 ** 32;
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    chance: (probability) => next() < probability,
    pick: (items) => items[below(items.length)]!,
    shuffled(items) {
      const result = [...items];
      for (let at = result.length - 1; at > 0; at--) {
        const other = below(at + 1);
        [result[at], result[other]] = [result[other]!, result[at]!];
      }
      return result;
    },
  };
}
