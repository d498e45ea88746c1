/**
 * Reads frames of group membership. They come from whoever can send to a port: nothing here throws, and what the RFCs want ignored is
 * ignored with its reason. Router alert is not asked for: hosts that do not send it are answered by routers too.
 */
import { checksum, pseudoHeaderSum } from '../punt/checksum.js';
import { type IpHeader, parsePacket } from '../punt/packet.js';
import { parseIgmp } from './igmp.js';
import {
  type Hello,
  ignored,
  type MembershipMessage,
  type Parsed,
  type Query,
  type Report,
} from './messages.js';
import { parseMld } from './mld.js';

export const Protocol = { igmp: 2, icmpv6: 58, pim: 103 } as const;

/** Where TTL and hop limit stand in the headers. */
const HOP_LIMIT_AT = { 4: 8, 6: 7 } as const;

export function parseMembership(frame: Uint8Array): Parsed<MembershipMessage> {
  const { ethernet, ip } = parsePacket(frame);
  if (ethernet === undefined || ip === undefined || !ip.complete) return ignored('truncated');
  if (ip.isFragment) return ignored('fragment');
  const end = ip.offset + ip.totalLength;
  if (end > frame.length || ip.payload > end) return ignored('truncated');
  const parsed = parsePayload(ip, frame.subarray(ip.payload, end));
  if (parsed.kind === 'ignored') return parsed;
  if (frame[ip.offset + HOP_LIMIT_AT[ip.version]] !== 1) return ignored('hop-limit');
  return { ...parsed, source: ip.source, sourceMac: ethernet.source };
}

function parsePayload(ip: IpHeader, payload: Uint8Array): Parsed<Report | Query | Hello> {
  if (ip.version === 4 && ip.protocol === Protocol.igmp) return parseIgmp(ip, payload);
  if (ip.version === 6 && ip.protocol === Protocol.icmpv6) return parseMld(ip, payload);
  return ip.protocol === Protocol.pim ? parsePim(ip, payload) : ignored('other');
}

const PIM_HELLO = 0x20; // version 2, type 0
const PIM_HEADER = 4;
const HOLDTIME = 1;
const DEFAULT_HOLD_MS = 105_000;
/** `0xffff`: until it says otherwise. A router that says nothing for as long as this has gone. */
const FOREVER = 0xffff;
const LONGEST_HOLD_MS = 3_600_000;

/** RFC 7761, section 4.9.2. */
function parsePim(ip: IpHeader, payload: Uint8Array): Parsed<Hello> {
  if (payload.length < PIM_HEADER) return ignored('truncated');
  if (payload[0] !== PIM_HELLO) return ignored('other');
  const initial = ip.version === 6 ? pseudoHeaderSum(ip, Protocol.pim, payload.length) : 0;
  if (checksum(payload, initial) !== 0) return ignored('checksum');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  let holdMs = DEFAULT_HOLD_MS;
  for (let at = PIM_HEADER; at + 4 <= payload.length; ) {
    const length = view.getUint16(at + 2);
    if (at + 4 + length > payload.length) return ignored('malformed');
    if (view.getUint16(at) === HOLDTIME && length === 2) {
      const seconds = view.getUint16(at + 4);
      holdMs = seconds === FOREVER ? LONGEST_HOLD_MS : Math.min(seconds * 1000, LONGEST_HOLD_MS);
    }
    at += 4 + length;
  }
  return { kind: 'hello', family: ip.version, holdMs };
}
