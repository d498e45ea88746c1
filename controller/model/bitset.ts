/**
 * A sparse set of non-negative integers that finds its lowest absent member fast: what numbers, tags and IPv4
 * addresses are allocated from. Chunks of 4,096 bits exist only where there are members; full ones are skipped whole.
 */

const CHUNK_BITS = 4_096;
const WORDS = CHUNK_BITS / 32;

interface Chunk {
  readonly words: Uint32Array;
  count: number;
}

export class Bitset {
  readonly #chunks = new Map<number, Chunk>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(value: number): boolean {
    const chunk = this.#chunks.get(Math.floor(value / CHUNK_BITS));
    if (chunk === undefined) return false;
    const bit = value % CHUNK_BITS;
    return ((chunk.words[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  }

  /** True when it was absent. */
  add(value: number): boolean {
    const index = Math.floor(value / CHUNK_BITS);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      chunk = { words: new Uint32Array(WORDS), count: 0 };
      this.#chunks.set(index, chunk);
    }
    const bit = value % CHUNK_BITS;
    const word = chunk.words[bit >>> 5] as number;
    const mask = (1 << (bit & 31)) >>> 0;
    if ((word & mask) !== 0) return false;
    chunk.words[bit >>> 5] = word | mask;
    chunk.count += 1;
    this.#size += 1;
    return true;
  }

  /** True when it was present. */
  delete(value: number): boolean {
    const index = Math.floor(value / CHUNK_BITS);
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return false;
    const bit = value % CHUNK_BITS;
    const word = chunk.words[bit >>> 5] as number;
    const mask = (1 << (bit & 31)) >>> 0;
    if ((word & mask) === 0) return false;
    chunk.words[bit >>> 5] = word & ~mask;
    chunk.count -= 1;
    this.#size -= 1;
    if (chunk.count === 0) this.#chunks.delete(index);
    return true;
  }

  /** The smallest integer in `first`..`last` that is absent; undefined when all are present. */
  lowestAbsent(first: number, last: number): number | undefined {
    let value = first;
    while (value <= last) {
      const index = Math.floor(value / CHUNK_BITS);
      const chunk = this.#chunks.get(index);
      if (chunk === undefined) return value;
      if (chunk.count < CHUNK_BITS) {
        const bit = absentBit(chunk.words, value % CHUNK_BITS);
        if (bit !== undefined) {
          const found = index * CHUNK_BITS + bit;
          return found <= last ? found : undefined;
        }
      }
      value = (index + 1) * CHUNK_BITS;
    }
    return undefined;
  }
}

/** The first clear bit at or after `from`. */
function absentBit(words: Uint32Array, from: number): number | undefined {
  let absent = ~(words[from >>> 5] as number) & (-1 << (from & 31));
  for (let index = from >>> 5; ; absent = ~(words[index] as number)) {
    if (absent !== 0) return index * 32 + (31 - Math.clz32(absent & -absent));
    index += 1;
    if (index === WORDS) return undefined;
  }
}
