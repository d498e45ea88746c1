/**
 * A deterministic hash of integers, the same on every machine and after every restart: trees are functions of it, so it may never
 * change (trees of running networks would all move).
 */

/**
 * A permutation of the 32-bit integers whose every output bit depends on every input bit: `triple32` of Chris Wellons, "Prospecting
 * for Hash Functions" (https://nullprogram.com/blog/2018/07/31/, public domain), of his search the one with the least bias.
 */
export function mix32(value: number): number {
  let x = value ^ (value >>> 17);
  x = Math.imul(x, 0xed5ad4bb);
  x ^= x >>> 11;
  x = Math.imul(x, 0xac4c1b51);
  x ^= x >>> 15;
  x = Math.imul(x, 0x31848bab);
  x ^= x >>> 14;
  return x >>> 0;
}

/** Where the k-th hash of a sequence begins, k times 2^32 divided by the golden ratio: spreads small integers over all 32 bits. */
const GOLDEN_RATIO = 0x9e3779b9;

/** 32 bits out of a sequence of integers; of each its lower 32 bits count. Order matters. */
export function seedOf(...parts: readonly number[]): number {
  let seed = 0;
  for (const part of parts) seed = mix32((seed + GOLDEN_RATIO) ^ mix32(part));
  return seed;
}
