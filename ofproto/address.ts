/** Addresses as the numbers that fields hold, and their text (RFC 4291, RFC 5952). */

export class AddressError extends Error {
  readonly code = 'OFPROTO_ADDRESS';

  constructor(kind: string, text: string, expected: string) {
    super(`'${text}' is not ${kind}; write it as ${expected}`);
    this.name = 'AddressError';
  }
}

/** `02:00:00:00:00:01` as a 48-bit number. @throws AddressError */
export function parseMac(text: string): number {
  if (!/^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i.test(text)) {
    throw new AddressError('an Ethernet address', text, '02:00:00:00:00:01');
  }
  return text.split(':').reduce((value, byte) => value * 256 + Number.parseInt(byte, 16), 0);
}

export function formatMac(address: number): string {
  const digits = address.toString(16).padStart(12, '0');
  return `${digits.slice(0, 2)}:${digits.slice(2, 4)}:${digits.slice(4, 6)}:${digits.slice(6, 8)}:${digits.slice(8, 10)}:${digits.slice(10)}`;
}

/** `10.0.0.1` as a 32-bit number, four decimal parts without leading zeros. @throws AddressError */
export function parseIpv4(text: string): number {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    throw new AddressError('an IPv4 address', text, '10.0.0.1');
  }
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 0xff}.${(address >>> 8) & 0xff}.${address & 0xff}`;
}

/** The mask of an IPv4 prefix of 0 to 32 bits. */
export function ipv4Mask(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

/** The mask of an IPv6 prefix of 0 to 128 bits. */
export function ipv6Mask(prefixLength: number): bigint {
  return ((1n << BigInt(prefixLength)) - 1n) << BigInt(128 - prefixLength);
}

/** `fd00::1`, with `::` and a trailing IPv4 part where there is one, as a 128-bit number. @throws AddressError */
export function parseIpv6(text: string): bigint {
  const fail = (): never => {
    throw new AddressError('an IPv6 address', text, 'fd00::1');
  };
  let rest = text;
  const lastColon = rest.lastIndexOf(':');
  if (rest.includes('.')) {
    if (lastColon < 0) fail();
    const tail = parseIpv4(rest.slice(lastColon + 1));
    rest = `${rest.slice(0, lastColon + 1)}${(tail >>> 16).toString(16)}:${(tail & 0xffff).toString(16)}`;
  }
  const halves = rest.split('::');
  if (halves.length > 2) fail();
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], tail = []] = groups;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) fail();
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  let value = 0n;
  for (const group of all) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) fail();
    value = (value << 16n) | BigInt(Number.parseInt(group, 16));
  }
  return value;
}

/** In the form of RFC 5952: lower case, the longest run of two or more zero groups as `::`; IPv4-mapped ones mixed. */
export function formatIpv6(address: bigint): string {
  if (address >> 32n === 0xffffn) return `::ffff:${formatIpv4(Number(address & 0xffffffffn))}`;
  const groups = Array.from({ length: 8 }, (_, i) => Number((address >> BigInt(112 - 16 * i)) & 0xffffn));
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
    start = end;
  }
  return best;
}

/** Length of the prefix a mask of `bits` bits stands for; undefined where its one bits are not all at the front. */
export function prefixLength(mask: bigint, bits: number): number | undefined {
  const inverted = ~mask & ((1n << BigInt(bits)) - 1n);
  if ((inverted & (inverted + 1n)) !== 0n) return undefined;
  return bits - inverted.toString(2).replace('0', '').length;
}
