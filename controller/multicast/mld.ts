/** MLDv1 and v2 (RFC 2710, 3810): reads messages and builds queries. */
import { checksum, pseudoHeaderSum } from '../punt/checksum.js';
import type { Ipv6Header } from '../punt/packet.js';
import { ethernetHeader, groupMac } from './frames.js';
import { floating, floatingCode, type QueryOptions } from './igmp.js';
import {
  type GroupRecord,
  ignored,
  isMulticast,
  isSource,
  type Parsed,
  type Query,
  RECORD_TYPES,
  type Report,
  sortedSources,
} from './messages.js';

const MldType = { query: 130, report: 131, done: 132, reportV2: 143 } as const;
const ICMPV6 = 58;

const ALL_NODES = (0xff02n << 112n) | 1n;
const ALL_ROUTERS = (0xff02n << 112n) | 2n;
const REPORT_HEADER = 8;
const SHORT = 24;
const QUERY_V2 = 28;
const RECORD = 20;
const NO_SOURCES: readonly bigint[] = [];

type Ends = Pick<Ipv6Header, 'source' | 'destination'>;

/** @param payload of the IP packet, all of it */
export function parseMld(ip: Ends, payload: Uint8Array): Parsed<Report | Query> {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.length < REPORT_HEADER) return ignored('truncated');
  const type = view.getUint8(0);
  if (!MLD_TYPES.has(type)) return ignored('other');
  if (checksum(payload, pseudoHeaderSum(ip, ICMPV6, payload.length)) !== 0) return ignored('checksum');
  // Reports come from the unspecified address while a node has none (RFC 3590; RFC 3810, section 5.2.13).
  if (!isLinkLocalUnicast(ip.source) && (ip.source !== 0n || type === MldType.query))
    return ignored('source');
  if (type === MldType.reportV2) return parseReportV2(view);
  if (payload.length < SHORT) return ignored('truncated');
  const group = address(view, 8);
  switch (type) {
    case MldType.report:
      return shortReport(ip, group, 'is-exclude', group);
    case MldType.done:
      return shortReport(ip, group, 'to-include', ALL_ROUTERS);
    default:
      return parseQuery(ip, view, group);
  }
}

const MLD_TYPES: ReadonlySet<number> = new Set(Object.values(MldType));

function shortReport(
  ip: Ends,
  group: bigint,
  type: GroupRecord['type'],
  destination: bigint,
): Parsed<Report> {
  if (!isMulticast(6, group)) return ignored('malformed');
  if (ip.destination !== destination) return ignored('destination');
  const record = { type, group: { family: 6, address: group }, sources: NO_SOURCES } as const;
  return { kind: 'report', family: 6, version: 1, records: [record] };
}

/** RFC 3810, section 5.2. */
function parseReportV2(view: DataView): Parsed<Report> {
  const records: GroupRecord[] = [];
  let at = REPORT_HEADER;
  for (let left = view.getUint16(6); left > 0; left--) {
    if (at + RECORD > view.byteLength) return ignored('malformed');
    const type = RECORD_TYPES[view.getUint8(at) - 1];
    const count = view.getUint16(at + 2);
    const group = address(view, at + 4);
    const end = at + RECORD + 16 * count + 4 * view.getUint8(at + 1);
    if (end > view.byteLength) return ignored('malformed');
    const sources = Array.from({ length: count }, (_, index) => address(view, at + RECORD + 16 * index));
    if (type !== undefined && isMulticast(6, group) && sources.every((source) => isSource(6, source))) {
      records.push({ type, group: { family: 6, address: group }, sources: sortedSources(sources) });
    }
    at = end;
  }
  return { kind: 'report', family: 6, version: 2, records };
}

/** RFC 3810, sections 5.1 and 8.1. */
function parseQuery({ destination }: Ends, view: DataView, group: bigint): Parsed<Query> {
  if (view.byteLength > SHORT && view.byteLength < QUERY_V2) return ignored('malformed');
  if (group !== 0n && !isMulticast(6, group)) return ignored('malformed');
  if (destination !== ALL_NODES && (group === 0n || destination !== group)) return ignored('destination');
  const code = view.getUint16(4);
  const about = group === 0n ? {} : { group: { family: 6, address: group } as const };
  const query = { kind: 'query', family: 6, ...about } as const;
  if (view.byteLength === SHORT) {
    return {
      ...query,
      version: 1,
      maxResponseMs: code,
      suppress: false,
      robustness: 0,
      intervalMs: 0,
      sources: NO_SOURCES,
    };
  }
  const count = view.getUint16(26);
  if (view.byteLength < QUERY_V2 + 16 * count) return ignored('malformed');
  const sources = Array.from({ length: count }, (_, index) => address(view, QUERY_V2 + 16 * index));
  return {
    ...query,
    version: 2,
    maxResponseMs: longFloating(code),
    suppress: (view.getUint8(24) & 0x08) !== 0,
    robustness: view.getUint8(24) & 0x07,
    intervalMs: floating(view.getUint8(25)) * 1000,
    sources: sortedSources(sources),
  };
}

/** RFC 3810, section 5.1.3. */
function longFloating(code: number): number {
  return code < 0x8000 ? code : ((code & 0x0fff) | 0x1000) << (((code >> 12) & 0x07) + 3);
}

function address(view: DataView, at: number): bigint {
  return (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8);
}

function isLinkLocalUnicast(source: bigint): boolean {
  return source >> 118n === 0xfe80n >> 6n;
}

/**
 * Source of our queries: link-local, as hosts want it, and the last one there is, so that every router wins the election against it
 * (the lowest address does; RFC 3810, section 7.6.2).
 */
export const QUERIER_ADDRESS = (0xfe80n << 112n) | 0xffff_ffff_ffff_fffen;

/** Hop-by-hop options with a router alert for MLD (RFC 2711) and padding: hosts ignore queries without. */
const HOP_BY_HOP = [ICMPV6, 0, 5, 2, 0, 0, 1, 0] as const;
const IP_HEADER = 40;
const LONGEST_RESPONSE_MS = 0x7fff;

/**
 * A frame with a query of version 2, which nodes of version 1 take for one of theirs: general, or for one group.
 * @param group absent: a general query
 */
export function buildMldQuery(
  { sourceMac, maxResponseMs, robustness, intervalMs }: QueryOptions,
  group = 0n,
): Uint8Array {
  const destination = group === 0n ? ALL_NODES : group;
  const mld = new Uint8Array(QUERY_V2);
  const message = new DataView(mld.buffer);
  message.setUint8(0, MldType.query);
  message.setUint16(4, Math.min(Math.max(1, Math.floor(maxResponseMs)), LONGEST_RESPONSE_MS));
  setAddress(message, 8, group);
  message.setUint8(24, robustness & 0x07);
  message.setUint8(25, floatingCode(intervalMs / 1000));
  const ends = { source: QUERIER_ADDRESS, destination };
  message.setUint16(2, checksum(mld, pseudoHeaderSum(ends, ICMPV6, mld.length)));
  const header = new Uint8Array(IP_HEADER);
  const ip = new DataView(header.buffer);
  ip.setUint8(0, 0x60);
  ip.setUint16(4, HOP_BY_HOP.length + QUERY_V2);
  ip.setUint8(7, 1);
  setAddress(ip, 8, QUERIER_ADDRESS);
  setAddress(ip, 24, destination);
  const link = ethernetHeader(groupMac({ family: 6, address: destination }), sourceMac, 0x86dd);
  return Uint8Array.of(...link, ...header, ...HOP_BY_HOP, ...mld);
}

function setAddress(view: DataView, at: number, value: bigint): void {
  view.setBigUint64(at, value >> 64n);
  view.setBigUint64(at + 8, value & 0xffff_ffff_ffff_ffffn);
}
