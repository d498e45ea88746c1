/**
 * The subnets of one tenant in one family, ordered by address: finds overlaps and the lowest free subnet of a pool.
 * Addresses are bigint in both families here; there are few subnets compared to addresses.
 */

export interface PrefixRange {
  readonly first: bigint;
  readonly last: bigint;
  /** Who has it; one owner has one range. */
  readonly owner: string;
}

export class PrefixSet {
  /** By `first`, then `last`, then owner. */
  readonly #ranges: PrefixRange[] = [];
  /** Length (last - first) of the longest range there has been. */
  #longest = 0n;
  /** Nothing below `from` is free in the pool that begins at `pool`, for subnets of `size`. */
  #hint: { pool: bigint; size: bigint; from: bigint } | undefined;

  get size(): number {
    return this.#ranges.length;
  }

  add(range: PrefixRange): void {
    this.#ranges.splice(this.#position(range), 0, range);
    const size = range.last - range.first;
    if (size > this.#longest) this.#longest = size;
  }

  delete(range: PrefixRange): void {
    const position = this.#position(range);
    if (this.#ranges[position]?.owner !== range.owner) return;
    this.#ranges.splice(position, 1);
    this.#hint = undefined;
  }

  /** Ranges that have an address in common with `first`..`last`. */
  overlapping(first: bigint, last: bigint): PrefixRange[] {
    const found: PrefixRange[] = [];
    // Nothing that begins further below than the longest range is long can reach up to `first`.
    for (let index = this.#lowerBound(first - this.#longest); index < this.#ranges.length; index++) {
      const range = this.#ranges[index] as PrefixRange;
      if (range.first > last) break;
      if (range.last >= first) found.push(range);
    }
    return found;
  }

  /** First address of the lowest free, aligned subnet of `size` addresses in the pool. */
  lowestFree(pool: { first: bigint; last: bigint }, size: bigint): bigint | undefined {
    const hint = this.#hint?.pool === pool.first && this.#hint.size === size ? this.#hint.from : pool.first;
    let candidate = hint;
    for (let index = this.#lowerBound(candidate - this.#longest); index < this.#ranges.length; index++) {
      const range = this.#ranges[index] as PrefixRange;
      if (range.first > candidate + size - 1n) break;
      if (range.last < candidate) continue;
      // Pools and sizes are powers of two, the pool aligned to its own: rounding up keeps the alignment.
      const past = range.last + 1n;
      candidate = ((past + size - 1n) / size) * size;
    }
    this.#hint = { pool: pool.first, size, from: candidate };
    return candidate + size - 1n <= pool.last ? candidate : undefined;
  }

  /** Index of the first range that begins at or after `first`. */
  #lowerBound(first: bigint): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as PrefixRange).first < first) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #position(range: PrefixRange): number {
    let position = this.#lowerBound(range.first);
    for (; position < this.#ranges.length; position++) {
      if (compare(this.#ranges[position] as PrefixRange, range) >= 0) break;
    }
    return position;
  }
}

function compare(a: PrefixRange, b: PrefixRange): number {
  if (a.first !== b.first) return a.first < b.first ? -1 : 1;
  if (a.last !== b.last) return a.last < b.last ? -1 : 1;
  if (a.owner === b.owner) return 0;
  return a.owner < b.owner ? -1 : 1;
}
