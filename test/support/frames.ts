/**
 * Ethernet frames for tests, forged ones included. Addresses are numbers as in the facts. Checksums are right, so that a receiver's
 * silence is never the stack's.
 */
const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd } as const;
const VXLAN_VALID_VNI = 0x08;

export interface EthernetAddresses {
  readonly source: number;
  readonly destination: number;
}

export const BROADCAST = 0xffffffffffff;

/** An Ethernet frame; `tags` are VLAN ids from the outer to the inner. */
export function ethernet(
  { source, destination }: EthernetAddresses,
  etherType: number,
  payload: Uint8Array,
  tags: readonly number[] = [],
): Uint8Array {
  return concat(
    mac(destination),
    mac(source),
    ...tags.flatMap((tag) => [uint16(ETHER_TYPE.vlan), uint16(tag)]),
    uint16(etherType),
    payload,
  );
}

export interface ArpFields {
  /** 1 request, 2 reply. */
  readonly operation: number;
  readonly senderMac: number;
  readonly senderIp: number;
  readonly targetMac?: number;
  readonly targetIp: number;
}

export function arpFrame(addresses: EthernetAddresses, arp: ArpFields, tags?: readonly number[]): Uint8Array {
  const body = concat(
    uint16(1),
    uint16(ETHER_TYPE.ipv4),
    Uint8Array.of(6, 4),
    uint16(arp.operation),
    mac(arp.senderMac),
    uint32(arp.senderIp),
    mac(arp.targetMac ?? 0),
    uint32(arp.targetIp),
  );
  return ethernet(addresses, ETHER_TYPE.arp, body, tags);
}

export interface UdpFields<Address> {
  readonly sourceIp: Address;
  readonly destinationIp: Address;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** ASCII; tests find their frames by it. */
  readonly text?: string;
}

export function udpFrame(
  addresses: EthernetAddresses,
  { sourceIp, destinationIp, sourcePort = 9999, destinationPort = 9999, text = '' }: UdpFields<number>,
  tags?: readonly number[],
): Uint8Array {
  const data = new TextEncoder().encode(text);
  const UDP = 17;
  const udp = concat(uint16(sourcePort), uint16(destinationPort), uint16(8 + data.length), uint16(0), data);
  const header = concat(
    Uint8Array.of(0x45, 0),
    uint16(20 + udp.length),
    Uint8Array.of(0, 0, 0, 0, 64, UDP, 0, 0),
    uint32(sourceIp),
    uint32(destinationIp),
  );
  header.set(uint16(checksum(header)), 10);
  return ethernet(addresses, ETHER_TYPE.ipv4, concat(header, udp), tags);
}

export interface Icmpv6Fields {
  readonly sourceIp: bigint;
  readonly destinationIp: bigint;
  readonly type: number;
  /** Everything after the checksum. */
  readonly body: Uint8Array;
}

export function icmpv6Frame(
  addresses: EthernetAddresses,
  { sourceIp, destinationIp, type, body }: Icmpv6Fields,
  tags?: readonly number[],
): Uint8Array {
  const ICMPV6 = 58;
  const message = concat(Uint8Array.of(type, 0, 0, 0), body);
  const pseudoHeader = concat(
    uint128(sourceIp),
    uint128(destinationIp),
    uint32(message.length),
    uint32(ICMPV6),
  );
  message.set(uint16(checksum(concat(pseudoHeader, message))), 2);
  const header = concat(
    Uint8Array.of(0x60, 0, 0, 0),
    uint16(message.length),
    Uint8Array.of(ICMPV6, 255),
    uint128(sourceIp),
    uint128(destinationIp),
  );
  return ethernet(addresses, ETHER_TYPE.ipv6, concat(header, message), tags);
}

/** Body of a neighbour solicitation or advertisement: flags, target, and the link-layer address option (1 source, 2 target). */
export function neighbourBody(
  flags: number,
  target: bigint,
  option?: { type: 1 | 2; mac: number },
): Uint8Array {
  const parts = [uint32(flags), uint128(target)];
  if (option !== undefined) parts.push(Uint8Array.of(option.type, 1), mac(option.mac));
  return concat(...parts);
}

/** The payload of a UDP datagram to port 4789 (RFC 7348). */
export function vxlanPayload(vni: number, frame: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(VXLAN_VALID_VNI, 0, 0, 0), uint32(vni * 256), frame);
}

/** True if the bytes hold the ASCII text somewhere. */
export function holds(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(text);
}

export function mac(value: number): Uint8Array {
  return Uint8Array.from({ length: 6 }, (_, index) => Math.floor(value / 2 ** (8 * (5 - index))) % 256);
}

/** '02:02:0a:01:01:01' */
export function macText(value: number): string {
  return [...mac(value)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** '10.1.1.1' */
export function ipv4Text(value: number): string {
  return [...uint32(value)].join('.');
}

/** Eight groups, uncompressed. */
export function ipv6Text(value: bigint): string {
  return value.toString(16).padStart(32, '0').match(/.{4}/g)?.join(':') ?? '';
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function uint128(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, index) => Number((value >> BigInt(8 * (15 - index))) & 0xffn));
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
