/** A packet that a connection might carry and that says nothing: an ACK of TCP, a datagram of UDP without data. No endpoint sees it. */
import { isIPv4 } from 'node:net';
import { parseIpv4, parseIpv6 } from '../../ofproto/index.js';
import { type Connection, TCP } from './connection.js';

const ETHERNET = 14;
const IPV4 = 20;
const IPV6 = 40;
const ACK = 0x10;
const HOP_LIMIT = 64;

/** From the source of the connection to its destination, with checksums, which connection tracking verifies. */
export function packetOf({
  protocol,
  source,
  destination,
  sourcePort,
  destinationPort,
}: Connection): Uint8Array {
  const isTcp = protocol === TCP;
  const segment = new Uint8Array(isTcp ? 20 : 8);
  const view = new DataView(segment.buffer);
  view.setUint16(0, sourcePort);
  view.setUint16(2, destinationPort);
  if (isTcp) {
    view.setUint8(12, (20 / 4) << 4);
    view.setUint8(13, ACK);
    view.setUint16(14, 0xffff); // window
  } else view.setUint16(4, segment.length);
  const addresses = Uint8Array.of(...bytesOf(source), ...bytesOf(destination));
  // RFC 9293 section 3.1, RFC 768, RFC 8200 section 8.1.
  const sum = checksum(segment, wordsOf(addresses) + protocol + segment.length);
  view.setUint16(isTcp ? 16 : 6, sum === 0 && !isTcp ? 0xffff : sum);
  const header = isIPv4(source)
    ? ipv4Header(addresses, protocol, segment.length)
    : ipv6Header(addresses, protocol, segment.length);
  return Uint8Array.of(...ethernetHeader(isIPv4(source)), ...header, ...segment);
}

/** Between two locally administered addresses: nobody's. */
function ethernetHeader(isIpv4: boolean): Uint8Array {
  const header = new Uint8Array(ETHERNET);
  header.set([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1]);
  new DataView(header.buffer).setUint16(12, isIpv4 ? 0x0800 : 0x86dd);
  return header;
}

function ipv4Header(addresses: Uint8Array, protocol: number, payload: number): Uint8Array {
  const header = new Uint8Array(IPV4);
  const view = new DataView(header.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, IPV4 + payload);
  view.setUint16(6, 0x4000); // do not fragment
  view.setUint8(8, HOP_LIMIT);
  view.setUint8(9, protocol);
  header.set(addresses, 12);
  view.setUint16(10, checksum(header));
  return header;
}

function ipv6Header(addresses: Uint8Array, protocol: number, payload: number): Uint8Array {
  const header = new Uint8Array(IPV6);
  const view = new DataView(header.buffer);
  view.setUint8(0, 0x60);
  view.setUint16(4, payload);
  view.setUint8(6, protocol);
  view.setUint8(7, HOP_LIMIT);
  header.set(addresses, 8);
  return header;
}

function bytesOf(address: string): Uint8Array {
  if (isIPv4(address)) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, parseIpv4(address));
    return bytes;
  }
  const value = parseIpv6(address);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, value >> 64n);
  view.setBigUint64(8, BigInt.asUintN(64, value));
  return bytes;
}

/** RFC 1071. All that is summed here has an even length. */
function checksum(bytes: Uint8Array, initial = 0): number {
  let total = initial + wordsOf(bytes);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

function wordsOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += view.getUint16(at);
  return total;
}
