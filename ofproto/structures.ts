/** Structures that messages carry: ports, buckets, bands, queues, statistics and table features. */
import type { Action, Instruction } from './actions.js';
import type { Field } from './oxm/field.js';
import type { Match } from './oxm/oxm.js';

/** A port of a switch (section 7.2.1). Speeds in kbit/s, features as `PortFeature` bits. */
export interface PortDescription {
  readonly portNo: number;
  /** 48-bit number. */
  readonly hardwareAddress: number;
  /** At most 15 bytes of UTF-8. */
  readonly name: string;
  readonly config: number;
  readonly state: number;
  readonly current: number;
  readonly advertised: number;
  readonly supported: number;
  readonly peer: number;
  readonly currentSpeed: number;
  readonly maxSpeed: number;
}

/** Actions of a group (section 7.3.4.3). `watchPort`/`watchGroup` matter for fast failover only, else `Port.ANY`/`Group.ANY`. */
export interface Bucket {
  readonly weight: number;
  readonly watchPort: number;
  readonly watchGroup: number;
  readonly actions: readonly Action[];
}

/** What a meter does above a rate in kbit/s or packets/s; `burstSize` in kbit or packets (section 7.3.4.5). */
export type MeterBand =
  | { readonly type: 'drop'; readonly rate: number; readonly burstSize: number }
  | {
      readonly type: 'dscp_remark';
      readonly rate: number;
      readonly burstSize: number;
      readonly precedenceLevel: number;
    }
  | {
      readonly type: 'experimenter';
      readonly rate: number;
      readonly burstSize: number;
      readonly experimenter: number;
      readonly data: Uint8Array;
    }
  /** `data`: everything after type and length, rate and burst included. */
  | { readonly type: 'opaque'; readonly number: number; readonly data: Uint8Array };

/** Rates in tenths of a per cent; above 1000: disabled (section 7.2.2). */
export type QueueProperty =
  | { readonly type: 'min_rate'; readonly rate: number }
  | { readonly type: 'max_rate'; readonly rate: number }
  | { readonly type: 'experimenter'; readonly experimenter: number; readonly data: Uint8Array }
  | { readonly type: 'opaque'; readonly number: number; readonly data: Uint8Array };

export interface PacketQueue {
  readonly queueId: number;
  readonly port: number;
  readonly properties: readonly QueueProperty[];
}

/** One flow entry as a switch reports it (section 7.3.5.2). */
export interface FlowStats {
  readonly tableId: number;
  readonly durationSec: number;
  readonly durationNsec: number;
  readonly priority: number;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly flags: number;
  readonly cookie: bigint;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

export interface TableStats {
  readonly tableId: number;
  readonly activeCount: number;
  readonly lookupCount: bigint;
  readonly matchedCount: bigint;
}

/** Counters a switch does not keep are 0xffffffffffffffff. */
export interface PortStats {
  readonly portNo: number;
  readonly rxPackets: bigint;
  readonly txPackets: bigint;
  readonly rxBytes: bigint;
  readonly txBytes: bigint;
  readonly rxDropped: bigint;
  readonly txDropped: bigint;
  readonly rxErrors: bigint;
  readonly txErrors: bigint;
  readonly rxFrameErrors: bigint;
  readonly rxOverErrors: bigint;
  readonly rxCrcErrors: bigint;
  readonly collisions: bigint;
  readonly durationSec: number;
  readonly durationNsec: number;
}

export interface QueueStats {
  readonly portNo: number;
  readonly queueId: number;
  readonly txBytes: bigint;
  readonly txPackets: bigint;
  readonly txErrors: bigint;
  readonly durationSec: number;
  readonly durationNsec: number;
}

export interface BucketCounter {
  readonly packetCount: bigint;
  readonly byteCount: bigint;
}

export interface GroupStats {
  readonly groupId: number;
  readonly refCount: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly durationSec: number;
  readonly durationNsec: number;
  readonly buckets: readonly BucketCounter[];
}

export interface GroupDescription {
  readonly groupType: number;
  readonly groupId: number;
  readonly buckets: readonly Bucket[];
}

/** The arrays are indexed by `GroupType`: all, select, indirect, fast failover. `actions`: bit n is action type n. */
export interface GroupFeatures {
  readonly types: number;
  readonly capabilities: number;
  readonly maxGroups: readonly [number, number, number, number];
  readonly actions: readonly [number, number, number, number];
}

export interface MeterStats {
  readonly meterId: number;
  readonly flowCount: number;
  readonly packetInCount: bigint;
  readonly byteInCount: bigint;
  readonly durationSec: number;
  readonly durationNsec: number;
  readonly bands: readonly { readonly packetBandCount: bigint; readonly byteBandCount: bigint }[];
}

export interface MeterConfig {
  readonly flags: number;
  readonly meterId: number;
  readonly bands: readonly MeterBand[];
}

/** `bandTypes`: bit n is band type n. `capabilities`: `MeterFlag` bits. */
export interface MeterFeatures {
  readonly maxMeter: number;
  readonly bandTypes: number;
  readonly capabilities: number;
  readonly maxBands: number;
  readonly maxColor: number;
}

/** What one table can do (section 7.3.5.5). */
export interface TableFeatures {
  readonly tableId: number;
  /** At most 31 bytes of UTF-8. */
  readonly name: string;
  readonly metadataMatch: bigint;
  readonly metadataWrite: bigint;
  readonly config: number;
  readonly maxEntries: number;
  readonly properties: readonly TableFeatureProperty[];
}

/** Type number of an instruction or action, with the experimenter's bytes after the header where there are any. */
export interface FeatureId {
  readonly type: number;
  readonly data?: Uint8Array;
}

/** An OXM type without a value; `hasMask`: arbitrary masks are possible. */
export interface FieldId {
  readonly field: Field;
  readonly hasMask: boolean;
  /** The length byte as it came, where it is not that of the field. */
  readonly length?: number;
}

/** `miss`: the property of the table-miss entry where that differs from the others. */
export type TableFeatureProperty =
  | { readonly type: 'instructions'; readonly miss: boolean; readonly instructions: readonly FeatureId[] }
  | { readonly type: 'next_tables'; readonly miss: boolean; readonly tables: readonly number[] }
  | {
      readonly type: 'write_actions' | 'apply_actions';
      readonly miss: boolean;
      readonly actions: readonly FeatureId[];
    }
  | { readonly type: 'match' | 'wildcards'; readonly fields: readonly FieldId[] }
  | {
      readonly type: 'write_setfield' | 'apply_setfield';
      readonly miss: boolean;
      readonly fields: readonly FieldId[];
    }
  | {
      readonly type: 'experimenter';
      readonly miss: boolean;
      readonly experimenter: number;
      readonly experimenterType: number;
      readonly data: Uint8Array;
    }
  /** A property this library does not know. `data`: everything after type and length. */
  | { readonly type: 'opaque'; readonly number: number; readonly data: Uint8Array };

/** A property this library does not know, or of a length that it does not expect. `data`: everything after type and length. */
export interface UnknownProperty {
  readonly number: number;
  readonly data: Uint8Array;
}

/** A property of a bundle message (ONF EXT-230), an experimenter's or unknown. `data`: everything after type and length. */
export interface BundleProperty {
  readonly number: number;
  readonly data: Uint8Array;
}

/** Masks of one kind of asynchronous message (section 7.3.10): bit n is reason n. */
export interface AsyncMasks {
  /** While the controller's role is equal or master. */
  readonly master: number;
  /** While it is slave. */
  readonly slave: number;
}

/** One monitor of a flow-monitor request (ONF EXT-187). */
export interface FlowMonitorRequest {
  readonly monitorId: number;
  /** `FlowMonitorFlag` bits. */
  readonly flags: number;
  readonly outPort: number;
  readonly tableId: number;
  readonly match: Match;
}

/** One update of a flow monitor (ONF EXT-187). */
export type FlowUpdate =
  | {
      readonly event: 'added' | 'deleted' | 'modified';
      /** `FlowRemovedReason` where deleted. */
      readonly reason: number;
      readonly priority: number;
      readonly idleTimeout: number;
      readonly hardTimeout: number;
      readonly tableId: number;
      readonly cookie: bigint;
      readonly match: Match;
      readonly instructions: readonly Instruction[];
    }
  /** The change was made by this controller with that xid. */
  | { readonly event: 'abbreviated'; readonly xid: number }
  | { readonly event: 'opaque'; readonly number: number; readonly data: Uint8Array };

/** The connection whose conntrack entries NXT_CT_FLUSH removes. Absent parts match anything. */
export interface CtTuple {
  /** Both IPv4-mapped (`::ffff:a.b.c.d`) where the family is IPv4, as on the wire. */
  readonly src?: bigint;
  readonly dst?: bigint;
  readonly srcPort?: number;
  readonly dstPort?: number;
  readonly icmpId?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly unknown?: readonly UnknownProperty[];
}

/** A mapping of a Geneve option to a tun_metadata field (NXT_TLV_TABLE_MOD). Length in bytes, a multiple of 4. */
export interface TlvMapping {
  readonly optionClass: number;
  readonly optionType: number;
  readonly optionLength: number;
  readonly index: number;
}
