/** Lists of prefixes of both families: read, joined, and without exceptions, as rules and address sets have them. */
import {
  formatIpv4,
  formatIpv6,
  network4,
  network6,
  parseIpv4,
  parseIpv6,
  parsePrefix4,
  parsePrefix6,
} from './address.js';
import type { AddressBlock, PrefixFact } from './facts.js';

/** An address or a prefix; a reason and a way out when it is neither. */
export function parsePrefix(text: string): PrefixFact | { readonly message: string; readonly fix: string } {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== undefined) return { family: 4, address: ipv4, length: 32 };
  const ipv6 = parseIpv6(text);
  if (ipv6 !== undefined) return { family: 6, address: ipv6, length: 128 };
  const prefix4 = parsePrefix4(text);
  const prefix6 = prefix4 === undefined ? parsePrefix6(text) : undefined;
  let fact: PrefixFact;
  if (prefix4 !== undefined) fact = { family: 4, ...network4(prefix4) };
  else if (prefix6 !== undefined) fact = { family: 6, ...network6(prefix6) };
  else {
    return {
      message: `"${text}" is neither an address nor a prefix`,
      fix: 'write it like 10.1.0.0/16 or fd00:1::/48, without leading zeros',
    };
  }
  if (fact.address !== (prefix4 ?? prefix6)?.address) {
    return { message: `${text} has bits set beyond its length`, fix: `write ${formatPrefix(fact)}` };
  }
  return fact;
}

/** What is a prefix of a list; texts that are none are left out. */
export function parsePrefixes(texts: readonly string[] | undefined): PrefixFact[] {
  return (texts ?? []).map(parsePrefix).filter((prefix): prefix is PrefixFact => 'family' in prefix);
}

/** `10.1.0.0/16`; a single address without its length. */
export function formatPrefix(prefix: PrefixFact): string {
  if (prefix.family === 4) {
    return `${formatIpv4(prefix.address)}${prefix.length === 32 ? '' : `/${prefix.length}`}`;
  }
  return `${formatIpv6(prefix.address)}${prefix.length === 128 ? '' : `/${prefix.length}`}`;
}

const MULTICAST: readonly PrefixFact[] = [
  { family: 4, address: 0xe000_0000, length: 4 },
  { family: 6, address: 0xffn << 120n, length: 8 },
];

/** True when every address of the prefix is that of a multicast group (RFC 5771, RFC 4291 section 2.7). */
export function isMulticast(prefix: PrefixFact): boolean {
  return MULTICAST.some((all) => covers(all, prefix));
}

/** True when every address of `inner` is in `outer`. */
export function covers(outer: PrefixFact, inner: PrefixFact): boolean {
  if (outer.length > inner.length) return false;
  if (outer.family === 4 && inner.family === 4) {
    const size = 2 ** (32 - outer.length);
    return inner.address - (inner.address % size) === outer.address;
  }
  if (outer.family === 6 && inner.family === 6) {
    const shift = BigInt(128 - outer.length);
    return inner.address >> shift === outer.address >> shift;
  }
  return false;
}

/** The fewest prefixes with the same addresses: IPv4 first, by address. */
export function joinPrefixes(prefixes: readonly PrefixFact[]): PrefixFact[] {
  const joined: PrefixFact[] = [];
  for (const prefix of [...prefixes].sort(compare)) {
    const last = joined.at(-1);
    if (last !== undefined && covers(last, prefix)) continue;
    joined.push(prefix);
    // Two halves are one; that one may be half of another.
    for (let pair = joined.slice(-2); pair.length === 2; pair = joined.slice(-2)) {
      const parent = parentOf(pair[0] as PrefixFact, pair[1] as PrefixFact);
      if (parent === undefined) break;
      joined.splice(-2, 2, parent);
    }
  }
  return joined;
}

/** Joined; without prefixes of which nothing is left, and without exceptions that take nothing away. */
export function addressBlock(prefixes: readonly PrefixFact[], except: readonly PrefixFact[]): AddressBlock {
  const without = joinPrefixes(except);
  const left = joinPrefixes(prefixes).filter((prefix) => !anyCovers(without, prefix));
  return { prefixes: left, except: without.filter((exception) => anyCovers(left, exception)) };
}

/** True when one of the joined prefixes covers the prefix. */
export function anyCovers(joined: readonly PrefixFact[], prefix: PrefixFact): boolean {
  // Joined prefixes do not overlap: only the last one that begins at or before the prefix can cover it.
  let low = 0;
  let high = joined.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareStart(joined[middle] as PrefixFact, prefix) <= 0) low = middle + 1;
    else high = middle;
  }
  const candidate = joined[low - 1];
  return candidate !== undefined && covers(candidate, prefix);
}

function compareStart(a: PrefixFact, b: PrefixFact): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.address < b.address ? -1 : a.address > b.address ? 1 : 0;
}

/** The wider one first where two begin at the same address. */
const compare = (a: PrefixFact, b: PrefixFact): number => compareStart(a, b) || a.length - b.length;

/** The prefix that two prefixes are the halves of. */
function parentOf(low: PrefixFact, high: PrefixFact): PrefixFact | undefined {
  if (low.length !== high.length || low.length === 0) return undefined;
  if (low.family === 4 && high.family === 4) {
    const size = 2 ** (32 - low.length);
    const isPair = low.address % (2 * size) === 0 && high.address === low.address + size;
    return isPair ? { family: 4, address: low.address, length: low.length - 1 } : undefined;
  }
  if (low.family === 6 && high.family === 6) {
    const size = 1n << BigInt(128 - low.length);
    const isPair = low.address % (2n * size) === 0n && high.address === low.address + size;
    return isPair ? { family: 6, address: low.address, length: low.length - 1 } : undefined;
  }
  return undefined;
}
