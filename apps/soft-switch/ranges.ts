/** Blocks of addresses as ranges: what kernels keep in interval sets. */
import type { AddressBlock, PrefixFact } from '../../controller/model/facts.js';
import { formatIpv4, formatIpv6 } from '../../ofproto/index.js';
import type { Family } from '../policy/addresses.js';

interface Range {
  readonly first: bigint;
  /** The one after the last. */
  readonly end: bigint;
}

const BITS = { 4: 32, 6: 128 } as const;

/** The addresses of a block without its exceptions: ascending, joined where they touch. */
export function rangesOf({ prefixes, except }: AddressBlock): readonly { first: string; last: string }[] {
  return ([4, 6] as const).flatMap((family) =>
    without(united(rangesIn(family, prefixes)), united(rangesIn(family, except))).map(({ first, end }) => ({
      first: addressText(family, first),
      last: addressText(family, end - 1n),
    })),
  );
}

function rangesIn(family: Family, prefixes: readonly PrefixFact[]): Range[] {
  return prefixes
    .filter((prefix) => prefix.family === family)
    .map(({ address, length }) => {
      const first = BigInt(address);
      return { first, end: first + (1n << BigInt(BITS[family] - length)) };
    })
    .sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
}

function united(ranges: readonly Range[]): Range[] {
  const result: { first: bigint; end: bigint }[] = [];
  for (const { first, end } of ranges) {
    const last = result.at(-1);
    if (last === undefined || first > last.end) result.push({ first, end });
    else if (end > last.end) last.end = end;
  }
  return result;
}

/** Both ascending and without overlaps. */
function without(ranges: readonly Range[], holes: readonly Range[]): Range[] {
  return ranges.flatMap((range) => {
    const rest: Range[] = [];
    let first = range.first;
    for (const hole of holes) {
      if (hole.end <= first || hole.first >= range.end) continue;
      if (hole.first > first) rest.push({ first, end: hole.first });
      first = hole.end;
    }
    if (first < range.end) rest.push({ first, end: range.end });
    return rest;
  });
}

function addressText(family: Family, address: bigint): string {
  return family === 4 ? formatIpv4(Number(address)) : formatIpv6(address);
}
