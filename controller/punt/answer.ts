/**
 * What a rejected packet is answered with: what its destination would say if it did not want it. TCP gets a reset (RFC 9293, section
 * 3.10.7.1), everything else "destination unreachable, administratively prohibited" (RFC 1812, section 5.2.7.1; RFC 4443, section 3.1) with the
 * packet quoted. Where the two RFCs forbid errors there is no answer (RFC 1122, section 3.2.2; RFC 4443, section 2.4).
 */
import { checksum, pseudoHeaderSum } from './checksum.js';
import {
  type IpHeader,
  IpProtocol,
  type Packet,
  parsePacket,
  TcpFlag,
  type TransportHeader,
} from './packet.js';

/** Why a rejected packet gets no answer. */
export type NoAnswer =
  /** Not IP, or cut off before what an answer needs. */
  | 'unreadable'
  /** Sent to many, at the link or in IP: everybody would answer. */
  | 'multicast'
  /** From an address that is nobody's in particular. */
  | 'source'
  | 'fragment'
  /** Errors are not answered with errors. */
  | 'icmp-error'
  /** Nor resets with resets. */
  | 'tcp-reset';

export type AnswerKind = 'tcp-reset' | 'icmp-unreachable' | 'icmpv6-unreachable';

export type Answer =
  | { readonly kind: AnswerKind; readonly frame: Uint8Array }
  | { readonly kind: 'none'; readonly why: NoAnswer };

type Tcp = TransportHeader & { readonly kind: 'tcp' };
type IpPacket = Required<Pick<Packet, 'ethernet' | 'ip'>> & Pick<Packet, 'transport'>;

const MAC_GROUP_BIT = 0x0100_0000_0000;

/** The answer to a frame, of which the first bytes are enough. */
export function answerTo(frame: Uint8Array): Answer {
  const packet = parsePacket(frame);
  const why = reasonForNone(packet);
  if (why !== undefined) return { kind: 'none', why };
  const { ethernet, ip, transport } = packet as IpPacket;
  const link = linkHeader(frame, ethernet.payload);
  if (transport?.kind === 'tcp') {
    const segment = reset(ip, transport);
    return { kind: 'tcp-reset', frame: concat(link, ipHeader(ip, IpProtocol.tcp, segment.length), segment) };
  }
  const quoted = frame.subarray(ip.offset, ip.offset + ip.totalLength);
  if (ip.version === 4) {
    const message = unreachable(quoted);
    const header = ipHeader(ip, IpProtocol.icmp, message.length);
    return { kind: 'icmp-unreachable', frame: concat(link, header, message) };
  }
  const message = unreachableV6(ip, quoted);
  const header = ipHeader(ip, IpProtocol.icmpv6, message.length);
  return { kind: 'icmpv6-unreachable', frame: concat(link, header, message) };
}

function reasonForNone({ ethernet, ip, transport }: Packet): NoAnswer | undefined {
  if (ethernet === undefined || ip === undefined || !ip.complete) return 'unreadable';
  if (isGroupMac(ethernet.destination) || isMulticast(ip)) return 'multicast';
  if (isGroupMac(ethernet.source) || !isOneHost(ip)) return 'source';
  // The whole datagram is not known, and conntrack puts them together where it can.
  if (ip.isFragment) return 'fragment';
  switch (transport?.kind) {
    case 'tcp':
      if ((transport.flags & TcpFlag.RST) !== 0) return 'tcp-reset';
      return segmentLength(ip, transport) < 0 ? 'unreadable' : undefined;
    case 'icmp':
      return ICMP_ERRORS.has(transport.type) ? 'icmp-error' : undefined;
    case 'icmpv6':
      return transport.type < FIRST_ICMPV6_QUERY || transport.type === ICMPV6_REDIRECT
        ? 'icmp-error'
        : undefined;
    case 'udp':
    case 'sctp':
      return undefined;
    case undefined: {
      // What looks like TCP or ICMP and cannot be read may be what must not be answered.
      const { protocol } = ip;
      const mustBeRead =
        protocol === IpProtocol.tcp || protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6;
      return mustBeRead ? 'unreadable' : undefined;
    }
  }
}

/** Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122, section 3.2.2). */
const ICMP_ERRORS: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);
/** RFC 4443, section 2.1: smaller types are errors. */
const FIRST_ICMPV6_QUERY = 128;
const ICMPV6_REDIRECT = 137;

function isGroupMac(address: number): boolean {
  return Math.floor(address / MAC_GROUP_BIT) % 2 === 1;
}

function isMulticast(ip: IpHeader): boolean {
  // 224.0.0.0/4, 240.0.0.0/4 with the limited broadcast address; ff00::/8
  return ip.version === 4 ? ip.destination >= 0xe000_0000 : ip.destination >> 120n === 0xffn;
}

/** That the source is an address of one host: not "this network", loopback, multicast, reserved or unspecified. */
function isOneHost(ip: IpHeader): boolean {
  if (ip.version === 6) return ip.source > 1n && ip.source >> 120n !== 0xffn;
  const first = ip.source >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** The frame's own Ethernet header with its addresses exchanged. */
function linkHeader(frame: Uint8Array, length: number): Uint8Array {
  return concat(frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12, length));
}

const TTL = 64;

/** Header of a packet from the destination of `ip` to its source. */
function ipHeader(ip: IpHeader, protocol: number, length: number): Uint8Array {
  if (ip.version === 4) {
    const header = new Uint8Array(20);
    const view = new DataView(header.buffer);
    view.setUint8(0, 0x45);
    view.setUint16(2, header.length + length);
    view.setUint16(6, 0x4000); // do not fragment, so that the identification may be zero (RFC 6864)
    view.setUint8(8, TTL);
    view.setUint8(9, protocol);
    view.setUint32(12, ip.destination);
    view.setUint32(16, ip.source);
    view.setUint16(10, checksum(header));
    return header;
  }
  const header = new Uint8Array(40);
  const view = new DataView(header.buffer);
  view.setUint8(0, 0x60);
  view.setUint16(4, length);
  view.setUint8(6, protocol);
  view.setUint8(7, TTL);
  setAddress(view, 8, ip.destination);
  setAddress(view, 24, ip.source);
  return header;
}

function setAddress(view: DataView, at: number, address: bigint): void {
  view.setBigUint64(at, address >> 64n);
  view.setBigUint64(at + 8, address & 0xffff_ffff_ffff_ffffn);
}

/** SEG.LEN: data, and one for each of SYN and FIN (RFC 9293, section 3.4). Negative for a header that contradicts itself. */
function segmentLength(ip: IpHeader, { headerLength, flags }: Tcp): number {
  const data = ip.offset + ip.totalLength - ip.payload - headerLength;
  if (data < 0) return data;
  return data + ((flags & TcpFlag.SYN) === 0 ? 0 : 1) + ((flags & TcpFlag.FIN) === 0 ? 0 : 1);
}

/** RFC 9293, section 3.10.7.1: after an acknowledgement from where it says, else acknowledging what came. */
function reset(ip: IpHeader, tcp: Tcp): Uint8Array {
  const acknowledges = (tcp.flags & TcpFlag.ACK) !== 0;
  const segment = new Uint8Array(20);
  const view = new DataView(segment.buffer);
  view.setUint16(0, tcp.destinationPort);
  view.setUint16(2, tcp.sourcePort);
  if (acknowledges) view.setUint32(4, tcp.acknowledgement);
  else view.setUint32(8, (tcp.sequence + segmentLength(ip, tcp)) % 2 ** 32);
  view.setUint8(12, (segment.length / 4) << 4);
  view.setUint8(13, acknowledges ? TcpFlag.RST : TcpFlag.RST | TcpFlag.ACK);
  view.setUint16(16, checksum(segment, pseudoHeaderSum(ip, IpProtocol.tcp, segment.length)));
  return segment;
}

const UNREACHABLE_HEADER = 8;
/** RFC 1812, section 4.3.2.3: the error is at most 576 bytes long. */
const MAX_ICMP_QUOTE = 576 - 20 - UNREACHABLE_HEADER;
/** RFC 4443, section 3.1: the error fits the smallest IPv6 MTU. */
const MAX_ICMPV6_QUOTE = 1280 - 40 - UNREACHABLE_HEADER;
const ICMP_UNREACHABLE = { type: 3, administrativelyProhibited: 13 } as const;
const ICMPV6_UNREACHABLE = { type: 1, administrativelyProhibited: 1 } as const;

function unreachable(quoted: Uint8Array): Uint8Array {
  const { type, administrativelyProhibited: code } = ICMP_UNREACHABLE;
  const message = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), quoted.subarray(0, MAX_ICMP_QUOTE));
  new DataView(message.buffer).setUint16(2, checksum(message));
  return message;
}

function unreachableV6(ip: IpHeader, quoted: Uint8Array): Uint8Array {
  const { type, administrativelyProhibited: code } = ICMPV6_UNREACHABLE;
  const message = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), quoted.subarray(0, MAX_ICMPV6_QUOTE));
  const sum = checksum(message, pseudoHeaderSum(ip, IpProtocol.icmpv6, message.length));
  new DataView(message.buffer).setUint16(2, sum);
  return message;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
