/**
 * Addresses between text (intents, hub, API) and numbers (everything inside): IPv4 32-bit unsigned `number`, IPv6
 * `bigint`, MAC 48-bit `number`. Prefixes are ranges of addresses.
 *
 * IPv4 is read here and not by ipaddr.js, which takes `010.1.1.1` for octal and `10.1` for an address.
 */
import ipaddr from 'ipaddr.js';

const OCTET = '(0|[1-9][0-9]{0,2})';
const IPV4 = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);

/** Four decimal octets without leading zeros; undefined when it is anything else. */
export function parseIpv4(text: string): number | undefined {
  const match = IPV4.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (let index = 1; index <= 4; index++) {
    const octet = Number(match[index]);
    if (octet > 255) return undefined;
    address = address * 256 + octet;
  }
  return address;
}

export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** RFC 4291 text without a zone; undefined when it is anything else. */
export function parseIpv6(text: string): bigint | undefined {
  if (!text.includes(':') || text.includes('%')) return undefined;
  const dotted = text.slice(text.lastIndexOf(':') + 1);
  if (dotted.includes('.') && parseIpv4(dotted) === undefined) return undefined;
  if (!ipaddr.IPv6.isValid(text)) return undefined;
  let address = 0n;
  for (const part of ipaddr.IPv6.parse(text).parts) address = (address << 16n) | BigInt(part);
  return address;
}

/** RFC 5952 text. */
export function formatIpv6(address: bigint): string {
  const parts: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) parts.push(Number((address >> shift) & 0xffffn));
  return new ipaddr.IPv6(parts).toRFC5952String();
}

/** Six octets of two hexadecimal digits separated by colons. */
export function parseMac(text: string): number | undefined {
  if (!/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/.test(text)) return undefined;
  return Number.parseInt(text.replaceAll(':', ''), 16);
}

export function formatMac(mac: number): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
}

/** True for addresses that a network card may have: not zero, not multicast, not broadcast. */
export function isUnicastMac(mac: number): boolean {
  return mac !== 0 && Math.floor(mac / 2 ** 40) % 2 === 0;
}

/** MAC address of an endpoint with an IPv4 address, as the ancestor makes it: 02:02 and the address. */
export const macOfIpv4 = (address: number): number => 0x0202_0000_0000 + address;

/** MAC address of an endpoint without one: 02:03 and its number, which is unique in the cluster. */
export const macOfNumber = (number: number): number => 0x0203_0000_0000 + number;

/** A prefix in one family. `address` has no host bits unless it was read with them. */
export interface Prefix<Address> {
  readonly address: Address;
  readonly length: number;
}

/** `10.1.1.0/24`, host bits allowed (the caller decides what to say of them); undefined when it is not a prefix. */
export function parsePrefix4(text: string): Prefix<number> | undefined {
  const [addressText = '', lengthText = '', ...rest] = text.split('/');
  const address = parseIpv4(addressText);
  const length = parseLength(lengthText, 32);
  return address === undefined || length === undefined || rest.length > 0 ? undefined : { address, length };
}

export function parsePrefix6(text: string): Prefix<bigint> | undefined {
  const [addressText = '', lengthText = '', ...rest] = text.split('/');
  const address = parseIpv6(addressText);
  const length = parseLength(lengthText, 128);
  return address === undefined || length === undefined || rest.length > 0 ? undefined : { address, length };
}

function parseLength(text: string, bits: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text)) return undefined;
  const length = Number(text);
  return length <= bits ? length : undefined;
}

export const formatPrefix4 = ({ address, length }: Prefix<number>): string =>
  `${formatIpv4(address)}/${length}`;
export const formatPrefix6 = ({ address, length }: Prefix<bigint>): string =>
  `${formatIpv6(address)}/${length}`;

export const size4 = (length: number): number => 2 ** (32 - length);
export const size6 = (length: number): bigint => 1n << BigInt(128 - length);

/** The same prefix without host bits. */
export const network4 = ({ address, length }: Prefix<number>): Prefix<number> => ({
  address: address - (address % size4(length)),
  length,
});
export const network6 = ({ address, length }: Prefix<bigint>): Prefix<bigint> => ({
  address: address - (address % size6(length)),
  length,
});

export const last4 = ({ address, length }: Prefix<number>): number => address + size4(length) - 1;
export const last6 = ({ address, length }: Prefix<bigint>): bigint => address + size6(length) - 1n;

export const contains4 = (prefix: Prefix<number>, address: number): boolean =>
  address >= prefix.address && address <= last4(prefix);
export const contains6 = (prefix: Prefix<bigint>, address: bigint): boolean =>
  address >= prefix.address && address <= last6(prefix);

/** Inclusive range of numbers. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/**
 * `11-28,40-50` or `11`, blanks allowed around the parts; in ascending order, merged. Returns the reason as text when it
 * is not a list of ranges within `minimum` and `maximum`.
 */
export function parseRanges(text: string, minimum: number, maximum: number): NumberRange[] | string {
  const ranges: { first: number; last: number }[] = [];
  for (const part of text.split(',')) {
    const match = /^\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*$/.exec(part);
    if (match === null) return `"${part.trim()}" is neither a number nor a range like ${minimum}-${maximum}`;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (first > last) return `"${part.trim()}" runs backwards`;
    if (first < minimum || last > maximum) return `"${part.trim()}" is outside of ${minimum}-${maximum}`;
    ranges.push({ first, last });
  }
  ranges.sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges) {
    const previous = merged.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      previous.last = Math.max(previous.last, range.last);
    } else merged.push(range);
  }
  return merged;
}

export const formatRanges = (ranges: readonly NumberRange[]): string =>
  ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
