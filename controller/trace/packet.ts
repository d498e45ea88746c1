/**
 * A packet as a table sees it: the values of its fields, its registers and what is known of its connection.
 *
 * Fields that are views of the same bits are stored once, under the name of the specification: `nxm_eth_dst` is `eth_dst`, `xreg0` is
 * `reg0` above `reg1`, `vlan_tci` is `vlan_pcp` above `vlan_vid` (ovs-fields(7)).
 */
import {
  canonicalOxm,
  F,
  type Field,
  fieldByName,
  formatMatch,
  type Match,
  type OxmValue,
} from '../../ofproto/index.js';

/** Values by field name (`Field.name`), as unsigned numbers; a field that is not there is 0. */
export type Packet = ReadonlyMap<string, bigint>;

/** Bits of a field that are kept under one name. */
interface Part {
  /** Name they are kept under. */
  readonly name: string;
  /** Lowest bit within the field. */
  readonly offset: bigint;
  /** Lowest bit within what is kept. */
  readonly at: bigint;
  readonly mask: bigint;
}

const PARTS = new Map<Field, readonly Part[]>();

const ones = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

function part(name: string, offset: number, bits: number, at = 0): Part {
  return { name, offset: BigInt(offset), at: BigInt(at), mask: ones(bits) };
}

function partsOf(field: Field): readonly Part[] {
  let parts = PARTS.get(field);
  if (parts === undefined) {
    parts = findParts(field);
    PARTS.set(field, parts);
  }
  return parts;
}

function findParts(field: Field): readonly Part[] {
  const [, wide, index] = /^(xx?)reg(\d+)$/.exec(field.name) ?? [];
  if (wide !== undefined) {
    const count = field.bits / 32;
    const first = Number(index) * count;
    return Array.from({ length: count }, (_, i) => part(`reg${first + i}`, 32 * (count - 1 - i), 32));
  }
  switch (field) {
    case F.vlan_tci:
      return [part('vlan_vid', 0, 13), part('vlan_pcp', 13, 3)];
    // Its largest number is a reserved port, of which the canonical form has another.
    case F.nxm_in_port:
      return [part('in_port', 0, 16)];
    case F.nw_tos:
      return [part('ip_dscp', 2, 6)];
    default: {
      const { field: canonical } = canonicalOxm({ field, value: field.exactMask }) ?? { field };
      return [part(canonical.name, 0, field.bits === 0 ? 8 * 124 : field.bits)];
    }
  }
}

/** A value as a number; bytes in network order. */
export function toBits(value: OxmValue): bigint {
  if (typeof value !== 'object') return BigInt(value);
  let bits = 0n;
  for (const byte of value) bits = (bits << 8n) | BigInt(byte);
  return bits;
}

/** What a match compares of what is kept under one name. */
export interface Comparison {
  readonly name: string;
  readonly value: bigint;
  /** Absent: everything. */
  readonly mask?: bigint;
}

/** The name under which a field is kept as a whole; undefined for fields that are kept in parts. */
export function wholeName(field: Field): string | undefined {
  const [first, ...more] = partsOf(field);
  return first !== undefined && more.length === 0 && first.offset === 0n && first.at === 0n
    ? first.name
    : undefined;
}

/** Takes a comparison apart by the names under which the field's bits are kept. */
export function comparisonsOf(
  field: Field,
  value: OxmValue,
  mask: OxmValue | undefined,
): readonly Comparison[] {
  const parts = partsOf(field);
  const [first] = parts;
  if (mask === undefined && parts.length === 1 && first !== undefined && first.offset === 0n) {
    return [{ name: first.name, value: toBits(value) }];
  }
  const [bits, compared] = [toBits(value), toBits(mask ?? field.exactMask)];
  return parts.flatMap(({ name, offset, at, mask: width }) => {
    const own = (compared >> offset) & width;
    return own === 0n ? [] : [{ name, value: ((bits >> offset) & own) << at, mask: own << at }];
  });
}

/** `bits` bits of a field from bit `offset`. */
export function readBits(packet: Packet, field: Field, offset: number, bits: number): bigint {
  return (readField(packet, field) >> BigInt(offset)) & ones(bits);
}

export function readField(packet: Packet, field: Field): bigint {
  let value = 0n;
  for (const { name, offset, at, mask } of partsOf(field)) {
    value |= (((packet.get(name) ?? 0n) >> at) & mask) << offset;
  }
  return value;
}

/** Writes `bits` bits of a field from bit `offset` and leaves the others. */
export function writeBits(
  packet: Map<string, bigint>,
  field: Field,
  offset: number,
  bits: number,
  value: bigint,
): void {
  const shift = BigInt(offset);
  writeMasked(packet, field, value << shift, ones(bits) << shift);
}

export function writeMasked(packet: Map<string, bigint>, field: Field, value: bigint, written: bigint): void {
  for (const { name, offset, at, mask } of partsOf(field)) {
    const own = (written >> offset) & mask;
    if (own === 0n) continue;
    const others = (packet.get(name) ?? 0n) & ~(own << at);
    packet.set(name, others | (((value >> offset) & own) << at));
  }
}

/** The packet as `ofproto/trace` takes it: ports by protocol, and no word of the absence of a VLAN tag. */
export function packetText(packet: Packet): string {
  const match: Match = [...packet].flatMap(([name, bits]) => {
    const field = fieldByName(name);
    if (field === undefined || typeof field.exactMask === 'object') return [];
    if (field === F.vlan_vid && bits === 0n) return [];
    return [{ field, value: typeof field.exactMask === 'bigint' ? bits : Number(bits) }];
  });
  const text = formatMatch(match);
  const [transport = 'tp'] = /\b(?:tcp|udp|sctp)/.exec(text) ?? [];
  const icmp = /\bicmp6\b/.test(text) ? 'icmpv6' : 'icmp';
  return text.replace(/\btp_(src|dst)=/g, `${transport}_$1=`).replace(/\bicmp_(type|code)=/g, `${icmp}_$1=`);
}
