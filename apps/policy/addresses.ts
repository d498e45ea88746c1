/** Arithmetic of addresses and prefixes: numbers for IPv4, bigints for IPv6, as in facts. */
import type { PrefixFact } from '../../controller/model/facts.js';

export type Family = PrefixFact['family'];

const BITS = { 4: 32, 6: 128 } as const;

/** An address with its family, as a prefix of full length. */
export function hostPrefix(address: number | bigint): PrefixFact {
  return typeof address === 'number'
    ? { family: 4, address, length: BITS[4] }
    : { family: 6, address, length: BITS[6] };
}

/** The prefix of this length that a prefix is in; `length` is at most its own. */
export function shortened(prefix: PrefixFact, length: number): PrefixFact {
  if (length === prefix.length) return prefix;
  if (prefix.family === 4) {
    const size = 2 ** (BITS[4] - length);
    return { family: 4, address: Math.floor(prefix.address / size) * size, length };
  }
  const rest = BigInt(BITS[6] - length);
  return { family: 6, address: (prefix.address >> rest) << rest, length };
}

/** Ones at the `length` most significant bits. */
export function prefixMask(family: Family, length: number): bigint {
  const bits = BITS[family];
  return ((1n << BigInt(length)) - 1n) << BigInt(bits - length);
}

/** `4/a000000/8`: a key that names a prefix. */
export function prefixText({ family, address, length }: PrefixFact): string {
  return `${family}/${address.toString(16)}/${length}`;
}

/** True if two prefixes of one family have an address in common: one of them is in the other. */
export function overlaps(a: PrefixFact, b: PrefixFact): boolean {
  if (a.family !== b.family) return false;
  const length = Math.min(a.length, b.length);
  return shortened(a, length).address === shortened(b, length).address;
}

/** The fewest prefixes that hold the same addresses, in ascending order. */
export function aggregate(prefixes: readonly PrefixFact[]): readonly PrefixFact[] {
  return ([4, 6] as const).flatMap((family) => {
    const blocks = prefixes.filter((prefix) => prefix.family === family);
    return blocks.length < 2 ? blocks : aggregateFamily(family, blocks);
  });
}

function aggregateFamily(family: Family, prefixes: readonly PrefixFact[]): readonly PrefixFact[] {
  const spans = prefixes
    .map(({ address, length }) => ({
      first: BigInt(address),
      end: BigInt(address) + (1n << BigInt(BITS[family] - length)),
    }))
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const united: { first: bigint; end: bigint }[] = [];
  for (const span of spans) {
    const last = united.at(-1);
    if (last === undefined || span.first > last.end) united.push(span);
    else if (span.end > last.end) last.end = span.end;
  }
  return united.flatMap(({ first, end }) => cover(family, first, end));
}

/** The prefixes from `first` to before `end`: each as large as alignment and what is left allow. */
function cover(family: Family, first: bigint, end: bigint): PrefixFact[] {
  const bits = BITS[family];
  const prefixes: PrefixFact[] = [];
  for (let address = first; address < end; ) {
    let length = bits;
    let size = 1n;
    while (length > 0 && address % (size * 2n) === 0n && address + size * 2n <= end) {
      size *= 2n;
      length--;
    }
    prefixes.push(family === 4 ? { family, address: Number(address), length } : { family, address, length });
    address += size;
  }
  return prefixes;
}
