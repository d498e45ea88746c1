/** Flow entries, groups and meters as `ovs-ofctl` dumps them (lib/ofp-flow.c, ofp-group.c and ofp-meter.c of Open vSwitch). */
import type { Instruction } from '../actions.js';
import { FlowModFlag, Group, GroupType, Meter, MeterFlag, Port } from '../constants.js';
import type { Match } from '../oxm/oxm.js';
import type { Bucket, FlowStats, MeterBand } from '../structures.js';
import { formatActions, formatInstructions } from './actions.js';
import { formatMatch } from './match.js';
import { bytesText, formatPort, hex } from './values.js';

const DEFAULT_PRIORITY = 0x8000;

/** What makes a flow entry; FLOW_MOD and FlowStats are of this form. */
export interface FlowText {
  readonly tableId: number;
  readonly priority: number;
  readonly cookie: bigint;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly flags: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

const FLOW_FLAGS: readonly (readonly [number, string])[] = [
  [FlowModFlag.SEND_FLOW_REM, 'send_flow_rem'],
  [FlowModFlag.CHECK_OVERLAP, 'check_overlap'],
  [FlowModFlag.RESET_COUNTS, 'reset_counts'],
  [FlowModFlag.NO_PKT_COUNTS, 'no_packet_counts'],
  [FlowModFlag.NO_BYT_COUNTS, 'no_byte_counts'],
];

/** Names of the flags of a FLOW_MOD, each followed by a space. */
export const flowFlags = (flags: number): string =>
  FLOW_FLAGS.filter(([bit]) => flags & bit)
    .map(([, name]) => `${name} `)
    .join('');

/** Priority (where it is not the usual one) and match, as one list. */
export const prioritised = (priority: number, match: Match): string =>
  [priority === DEFAULT_PRIORITY ? '' : `priority=${priority}`, formatMatch(match)]
    .filter((text) => text !== '')
    .join(',');

function entryEnd(flow: FlowText): string {
  const timeouts =
    (flow.idleTimeout === 0 ? '' : `idle_timeout=${flow.idleTimeout}, `) +
    (flow.hardTimeout === 0 ? '' : `hard_timeout=${flow.hardTimeout}, `);
  const match = prioritised(flow.priority, flow.match);
  const actions = `actions=${formatInstructions(flow.instructions)}`;
  return `${timeouts}${flowFlags(flow.flags)}${match === '' ? '' : `${match} `}${actions}`;
}

/**
 * A flow entry as `ovs-ofctl --no-stats dump-flows` writes it:
 * `cookie=0x70, table=1, priority=40,tcp,nw_src=10.1.0.0/16 actions=output:8`.
 */
export function formatFlow(flow: FlowText): string {
  const cookie = flow.cookie === 0n ? '' : `cookie=${hex(flow.cookie)}, `;
  const table = flow.tableId === 0 ? '' : `table=${flow.tableId}, `;
  return `${cookie}${table}${entryEnd(flow)}`;
}

/** Seconds, with three or nine decimals where they are not whole. */
export function duration(seconds: number, nanoseconds: number): string {
  const fraction = `${nanoseconds}`.padStart(9, '0');
  if (nanoseconds === 0) return `${seconds}s`;
  return `${seconds}.${fraction.endsWith('000000') ? fraction.slice(0, 3) : fraction}s`;
}

/** A flow entry with its counters, as `ovs-ofctl dump-flows` writes it. */
export function formatFlowStats(flow: FlowStats): string {
  return (
    `cookie=${`0x${flow.cookie.toString(16)}`}, duration=${duration(flow.durationSec, flow.durationNsec)}, ` +
    `table=${flow.tableId}, n_packets=${flow.packetCount}, n_bytes=${flow.byteCount}, ${entryEnd(flow)}`
  );
}

const GROUP_TYPES: Readonly<Record<number, string>> = {
  [GroupType.ALL]: 'all',
  [GroupType.SELECT]: 'select',
  [GroupType.INDIRECT]: 'indirect',
  [GroupType.FAST_FAILOVER]: 'ff',
};

export interface GroupText {
  readonly groupType: number;
  readonly groupId: number;
  readonly buckets: readonly Bucket[];
}

/** Number of a group, the reserved ones by name. */
export const groupName = (group: number): string =>
  group === Group.ALL ? 'ALL' : group === Group.ANY ? 'ANY' : `${group}`;

function bucketText(bucket: Bucket, groupType: number): string {
  const usual = groupType === GroupType.SELECT ? 1 : 0;
  const parts = [
    bucket.weight === usual ? '' : `weight:${bucket.weight},`,
    bucket.watchPort === Port.ANY ? '' : `watch_port:${formatPort(bucket.watchPort)},`,
    bucket.watchGroup === Group.ANY ? '' : `watch_group:${groupName(bucket.watchGroup)},`,
  ];
  return `,bucket=${parts.join('')}actions=${formatActions(bucket.actions)}`;
}

/** A group as `ovs-ofctl dump-groups` writes it: `group_id=44,type=all,bucket=actions=output:9`. */
export function formatGroup({ groupId, groupType, buckets }: GroupText): string {
  const head = `group_id=${groupName(groupId)},type=${GROUP_TYPES[groupType] ?? groupType}`;
  return head + buckets.map((bucket) => bucketText(bucket, groupType)).join('');
}

export interface MeterText {
  readonly meterId: number;
  /** `MeterFlag` bits. */
  readonly flags: number;
  readonly bands: readonly MeterBand[];
}

const METER_NAMES: Readonly<Record<number, string>> = {
  [Meter.SLOWPATH]: 'slowpath',
  [Meter.CONTROLLER]: 'controller',
  [Meter.ALL]: 'all',
};
const METER_FLAGS: readonly (readonly [number, string])[] = [
  [MeterFlag.KBPS, 'kbps'],
  [MeterFlag.PKTPS, 'pktps'],
  [MeterFlag.BURST, 'burst'],
  [MeterFlag.STATS, 'stats'],
];

/** Number of a meter, the reserved ones by name. */
export const meterName = (meter: number): string => METER_NAMES[meter] ?? `${meter}`;

function bandText(band: MeterBand, flags: number): string {
  if (band.type === 'opaque') return `type=${band.number} data=${bytesText(band.data)}`;
  const burst = (flags & MeterFlag.BURST) === 0 ? '' : ` burst_size=${band.burstSize}`;
  const level = band.type === 'dscp_remark' ? ` prec_level=${band.precedenceLevel}` : '';
  return `type=${band.type} rate=${band.rate}${burst}${level}`;
}

/** A meter as `ovs-ofctl dump-meters` writes it, one line for each band after the first. */
export function formatMeter({ meterId, flags, bands }: MeterText): string {
  const names = METER_FLAGS.filter(([bit]) => flags & bit)
    .map(([, name]) => `${name} `)
    .join('');
  return [`meter=${meterName(meterId)} ${names}bands=`, ...bands.map((band) => bandText(band, flags))].join(
    '\n',
  );
}
