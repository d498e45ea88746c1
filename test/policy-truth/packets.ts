/**
 * IP packets as Ethernet frames, with right checksums, for TCP, UDP, SCTP, ICMP and any other protocol. Addresses are bigints of
 * either family, so that whoever asks about IPv4 and IPv6 asks once.
 */
import { ethernet } from '../support/frames.js';
import type { Address } from './evaluator.js';

export const Protocol = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;
export const TcpFlag = { fin: 1, syn: 2, rst: 4, ack: 16, push: 8 } as const;
const ETHER_TYPE = { 4: 0x0800, 6: 0x86dd } as const;
const HOP_LIMIT = 64;

/** Who talks to whom, below the protocol. */
export interface Ends {
  readonly source: { readonly mac: number; readonly address: Address };
  readonly destination: { readonly mac: number; readonly address: Address };
}

export const reversed = ({ source, destination }: Ends): Ends => ({
  source: destination,
  destination: source,
});

/** An IP packet in an Ethernet frame; `payload` is everything after the IP header, its checksum included. */
export function ipFrame(ends: Ends, protocol: number, payload: Buffer): Uint8Array {
  const { source, destination } = ends;
  const { family } = source.address;
  const header =
    family === 4
      ? Buffer.concat([
          words(0x4500, 20 + payload.length, 0, 0x4000),
          Buffer.of(HOP_LIMIT, protocol, 0, 0),
          bytesOf(source.address),
          bytesOf(destination.address),
        ])
      : Buffer.concat([
          words(0x6000, 0, payload.length),
          Buffer.of(protocol, HOP_LIMIT),
          bytesOf(source.address),
          bytesOf(destination.address),
        ]);
  if (family === 4) header.writeUInt16BE(internetChecksum(header), 10);
  return ethernet(
    { source: source.mac, destination: destination.mac },
    ETHER_TYPE[family],
    Buffer.concat([header, payload]),
  );
}

export interface TcpSegment {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly data: Buffer;
}

export function tcpFrame(ends: Ends, segment: TcpSegment): Uint8Array {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(segment.sourcePort, 0);
  header.writeUInt16BE(segment.destinationPort, 2);
  header.writeUInt32BE(segment.sequence >>> 0, 4);
  header.writeUInt32BE(segment.acknowledgement >>> 0, 8);
  header.writeUInt16BE((5 << 12) | segment.flags, 12);
  header.writeUInt16BE(0xffff, 14);
  return ipFrame(
    ends,
    Protocol.tcp,
    withChecksum(ends, Protocol.tcp, Buffer.concat([header, segment.data]), 16),
  );
}

export function udpFrame(ends: Ends, sourcePort: number, destinationPort: number, data: Buffer): Uint8Array {
  const datagram = Buffer.concat([words(sourcePort, destinationPort, 8 + data.length, 0), data]);
  return ipFrame(ends, Protocol.udp, withChecksum(ends, Protocol.udp, datagram, 6));
}

/** An SCTP packet (RFC 9260) with one chunk, e.g. 1 INIT, 2 INIT ACK, 10 COOKIE ECHO, 11 COOKIE ACK. */
export function sctpFrame(
  ends: Ends,
  ports: { readonly source: number; readonly destination: number; readonly verificationTag: number },
  chunkType: number,
  data: Buffer,
): Uint8Array {
  const header = Buffer.alloc(16);
  header.writeUInt16BE(ports.source, 0);
  header.writeUInt16BE(ports.destination, 2);
  header.writeUInt32BE(ports.verificationTag, 4);
  header[12] = chunkType;
  header.writeUInt16BE(4 + data.length, 14);
  const padding = Buffer.alloc((4 - (data.length % 4)) % 4);
  const packet = Buffer.concat([header, data, padding]);
  packet.writeUInt32LE(crc32c(packet), 8);
  return ipFrame(ends, Protocol.sctp, packet);
}

/** ICMP or ICMPv6 by the family of the ends; `rest`: the 32 bits after the checksum (identifier and sequence number of an echo). */
export function icmpFrame(ends: Ends, type: number, code: number, rest: number, data: Buffer): Uint8Array {
  const message = Buffer.concat([Buffer.of(type, code, 0, 0, 0, 0, 0, 0), data]);
  message.writeUInt32BE(rest >>> 0, 4);
  if (ends.source.address.family === 6) {
    return ipFrame(ends, Protocol.icmpv6, withChecksum(ends, Protocol.icmpv6, message, 2));
  }
  message.writeUInt16BE(internetChecksum(message), 2);
  return ipFrame(ends, Protocol.icmp, message);
}

export function bytesOf({ family, value }: Address): Buffer {
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

/** Fills in the checksum over pseudo-header and payload (RFC 9293 section 3.1, RFC 8200 section 8.1). */
function withChecksum(ends: Ends, protocol: number, payload: Buffer, at: number): Buffer {
  const length = Buffer.alloc(8);
  length.writeUInt32BE(payload.length, 0);
  length[7] = protocol;
  const pseudo = Buffer.concat([bytesOf(ends.source.address), bytesOf(ends.destination.address), length]);
  payload.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, payload])) || 0xffff, at);
  return payload;
}

/** RFC 1071. */
function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The checksum of SCTP (RFC 9260 appendix A). */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

function words(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) buffer.writeUInt16BE(value, 2 * index);
  return buffer;
}
