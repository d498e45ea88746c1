/** IGMPv1, v2 and v3 (RFC 1112, appendix I; RFC 2236; RFC 3376): reads messages and builds queries. */
import { checksum } from '../punt/checksum.js';
import type { Ipv4Header } from '../punt/packet.js';
import { ethernetHeader, groupMac } from './frames.js';
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

const IgmpType = { query: 0x11, reportV1: 0x12, reportV2: 0x16, leave: 0x17, reportV3: 0x22 } as const;

const ALL_HOSTS = 0xe0000001;
const ALL_ROUTERS = 0xe0000002;
const SHORT = 8;
const QUERY_V3 = 12;
const RECORD = 8;
/** A query of version 1 says nothing of when to answer (RFC 3376, section 8.3). */
const RESPONSE_V1_MS = 10_000;
const NO_SOURCES: readonly number[] = [];

/** @param payload of the IP packet, all of it */
export function parseIgmp(ip: Pick<Ipv4Header, 'destination'>, payload: Uint8Array): Parsed<Report | Query> {
  if (payload.length < SHORT) return ignored('truncated');
  if (checksum(payload) !== 0) return ignored('checksum');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const group = view.getUint32(4);
  switch (view.getUint8(0)) {
    case IgmpType.query:
      return parseQuery(ip, view, group);
    case IgmpType.reportV1:
      return shortReport(ip, group, 1, 'is-exclude', [group]);
    case IgmpType.reportV2:
      return shortReport(ip, group, 2, 'is-exclude', [group]);
    case IgmpType.leave:
      // RFC 2236, section 3: to all routers, or (an older draft) to the group.
      return shortReport(ip, group, 2, 'to-include', [ALL_ROUTERS, group]);
    case IgmpType.reportV3:
      return parseReportV3(view);
    default:
      return ignored('other');
  }
}

function shortReport(
  ip: Pick<Ipv4Header, 'destination'>,
  address: number,
  version: 1 | 2,
  type: GroupRecord['type'],
  destinations: readonly number[],
): Parsed<Report> {
  if (!isMulticast(4, address)) return ignored('malformed');
  if (!destinations.includes(ip.destination)) return ignored('destination');
  const record = { type, group: { family: 4, address }, sources: NO_SOURCES } as const;
  return { kind: 'report', family: 4, version, records: [record] };
}

/** RFC 3376, section 4.2. */
function parseReportV3(view: DataView): Parsed<Report> {
  const records: GroupRecord[] = [];
  let at = SHORT;
  for (let left = view.getUint16(6); left > 0; left--) {
    if (at + RECORD > view.byteLength) return ignored('malformed');
    const type = RECORD_TYPES[view.getUint8(at) - 1];
    const count = view.getUint16(at + 2);
    const address = view.getUint32(at + 4);
    const end = at + RECORD + 4 * count + 4 * view.getUint8(at + 1);
    if (end > view.byteLength) return ignored('malformed');
    const sources = Array.from({ length: count }, (_, index) => view.getUint32(at + RECORD + 4 * index));
    // Types that nobody knows are skipped (section 4.2.12); what no host can mean is, too.
    if (type !== undefined && isMulticast(4, address) && sources.every((source) => isSource(4, source))) {
      records.push({ type, group: { family: 4, address }, sources: sortedSources(sources) });
    }
    at = end;
  }
  return { kind: 'report', family: 4, version: 3, records };
}

/** RFC 3376, sections 4.1 and 7.1. */
function parseQuery(
  { destination }: Pick<Ipv4Header, 'destination'>,
  view: DataView,
  address: number,
): Parsed<Query> {
  if (view.byteLength > SHORT && view.byteLength < QUERY_V3) return ignored('malformed');
  if (address !== 0 && !isMulticast(4, address)) return ignored('malformed');
  if (destination !== ALL_HOSTS && (address === 0 || destination !== address)) return ignored('destination');
  const code = view.getUint8(1);
  const about = address === 0 ? {} : { group: { family: 4, address } as const };
  const short = { suppress: false, robustness: 0, intervalMs: 0, sources: NO_SOURCES };
  const query = { kind: 'query', family: 4, ...about } as const;
  if (view.byteLength === SHORT) {
    return code === 0
      ? { ...query, ...short, version: 1, maxResponseMs: RESPONSE_V1_MS }
      : { ...query, ...short, version: 2, maxResponseMs: code * 100 };
  }
  const count = view.getUint16(10);
  if (view.byteLength < QUERY_V3 + 4 * count) return ignored('malformed');
  const sources = Array.from({ length: count }, (_, index) => view.getUint32(QUERY_V3 + 4 * index));
  return {
    ...query,
    version: 3,
    maxResponseMs: floating(code) * 100,
    suppress: (view.getUint8(8) & 0x08) !== 0,
    robustness: view.getUint8(8) & 0x07,
    intervalMs: floating(view.getUint8(9)) * 1000,
    sources: sortedSources(sources),
  };
}

/** Codes from 128 on are floating point (RFC 3376, sections 4.1.1 and 4.1.7). */
export function floating(code: number): number {
  return code < 128 ? code : ((code & 0x0f) | 0x10) << (((code >> 4) & 0x07) + 3);
}

/** The code of the largest value that is not above `value`. */
export function floatingCode(value: number): number {
  if (value < 128) return Math.floor(value);
  for (let exponent = 0; exponent < 8; exponent++) {
    const mantissa = Math.floor(value / 2 ** (exponent + 3));
    if (mantissa < 0x20) return 0x80 | (exponent << 4) | (mantissa & 0x0f);
  }
  return 0xff;
}

/** What a query says beside its group. */
export interface QueryOptions {
  readonly sourceMac: number;
  readonly maxResponseMs: number;
  readonly robustness: number;
  readonly intervalMs: number;
}

const IP_HEADER = 24;
const ROUTER_ALERT = 0x94040000;
/** Internetwork control (RFC 3376, section 4). */
const TOS = 0xc0;

/**
 * A frame with a query of version 3, which hosts of versions 1 and 2 take for one of theirs: general, or for one group. Its source is 0.0.0.0, so
 * that whoever is a router wins the election and is not taken for less (RFC 4541, section 2.1.1).
 * @param group address; absent: a general query
 */
export function buildIgmpQuery(
  { sourceMac, maxResponseMs, robustness, intervalMs }: QueryOptions,
  group = 0,
): Uint8Array {
  const destination = group === 0 ? ALL_HOSTS : group;
  const igmp = new Uint8Array(QUERY_V3);
  const message = new DataView(igmp.buffer);
  message.setUint8(0, IgmpType.query);
  message.setUint8(1, Math.max(1, floatingCode(maxResponseMs / 100)));
  message.setUint32(4, group);
  message.setUint8(8, robustness & 0x07);
  message.setUint8(9, floatingCode(intervalMs / 1000));
  message.setUint16(2, checksum(igmp));
  const header = new Uint8Array(IP_HEADER);
  const ip = new DataView(header.buffer);
  ip.setUint8(0, 0x40 | (IP_HEADER / 4));
  ip.setUint8(1, TOS);
  ip.setUint16(2, IP_HEADER + QUERY_V3);
  ip.setUint16(6, 0x4000); // do not fragment, so that the identification may be zero (RFC 6864)
  ip.setUint8(8, 1);
  ip.setUint8(9, 2);
  ip.setUint32(16, destination);
  ip.setUint32(20, ROUTER_ALERT);
  ip.setUint16(10, checksum(header));
  const link = ethernetHeader(groupMac({ family: 4, address: destination }), sourceMac, 0x0800);
  return Uint8Array.of(...link, ...header, ...igmp);
}
