/** The Internet checksum (RFC 1071), and the pseudo-headers that TCP and ICMPv6 add to it (RFC 9293 section 3.1, RFC 8200 section 8.1). */
import type { IpHeader } from './packet.js';

/** One's complement of the one's complement sum of the 16-bit words of `bytes`; an odd last byte is the high one of its word. */
export function checksum(bytes: Uint8Array, initial = 0): number {
  return ~fold(sum(bytes, initial)) & 0xffff;
}

/** Sum to start from for a payload of `length` bytes that goes from `source` to `destination`. */
export function pseudoHeaderSum(
  { source, destination }: Pick<IpHeader, 'source' | 'destination'>,
  protocol: number,
  length: number,
): number {
  const addresses = words(source) + words(destination);
  return addresses + protocol + (length & 0xffff) + (length >>> 16);
}

function sum(bytes: Uint8Array, initial: number): number {
  let total = initial;
  for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  return total;
}

function fold(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded % 0x1_0000) + Math.floor(folded / 0x1_0000);
  return folded;
}

function words(address: number | bigint): number {
  let total = 0;
  for (let rest = BigInt(address); rest > 0n; rest >>= 16n) total += Number(rest & 0xffffn);
  return total;
}
