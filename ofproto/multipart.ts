/** Multipart requests and replies (OpenFlow 1.3.5, section 7.3.5), discriminated by `multipartType`. */
import type { Match } from './oxm/oxm.js';
import type {
  FlowMonitorRequest,
  FlowStats,
  FlowUpdate,
  GroupDescription,
  GroupFeatures,
  GroupStats,
  MeterConfig,
  MeterFeatures,
  MeterStats,
  PortDescription,
  PortStats,
  QueueStats,
  TableFeatures,
  TableStats,
} from './structures.js';

/** Which flow entries a request is about. `cookieMask` 0n: any cookie; `Port.ANY`, `Group.ANY`, `TableId.ALL`: any. */
export interface FlowStatsRequest {
  readonly tableId: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly match: Match;
}

/** Texts of at most 255 (serial number: 31) bytes of UTF-8. */
export interface SwitchDescription {
  readonly manufacturer: string;
  readonly hardware: string;
  readonly software: string;
  readonly serialNumber: string;
  readonly datapath: string;
}

export interface AggregateStats {
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly flowCount: number;
}

export interface ExperimenterBody {
  readonly experimenter: number;
  readonly experimenterType: number;
  readonly data: Uint8Array;
}

/** Body of each multipart request; null where the specification has none. */
export interface MultipartRequestBodies {
  desc: null;
  flow: FlowStatsRequest;
  aggregate: FlowStatsRequest;
  table: null;
  port_stats: { readonly portNo: number };
  queue: { readonly portNo: number; readonly queueId: number };
  group: { readonly groupId: number };
  group_desc: null;
  group_features: null;
  meter: { readonly meterId: number };
  meter_config: { readonly meterId: number };
  meter_features: null;
  /** Empty: ask; else: set what the tables can do. */
  table_features: readonly TableFeatures[];
  port_desc: null;
  /** ONF EXT-187, experimenter type 1870. */
  flow_monitor: readonly FlowMonitorRequest[];
  experimenter: ExperimenterBody;
}

/** Body of each multipart reply. Those that are arrays may come in several parts. */
export interface MultipartReplyBodies {
  desc: SwitchDescription;
  flow: readonly FlowStats[];
  aggregate: AggregateStats;
  table: readonly TableStats[];
  port_stats: readonly PortStats[];
  queue: readonly QueueStats[];
  group: readonly GroupStats[];
  group_desc: readonly GroupDescription[];
  group_features: GroupFeatures;
  meter: readonly MeterStats[];
  meter_config: readonly MeterConfig[];
  meter_features: MeterFeatures;
  table_features: readonly TableFeatures[];
  port_desc: readonly PortDescription[];
  flow_monitor: readonly FlowUpdate[];
  experimenter: ExperimenterBody;
}

export type MultipartType = keyof MultipartRequestBodies;

/** A body of a type this library does not know; `number` is that type. */
interface OpaqueBody {
  readonly multipartType: 'opaque';
  readonly number: number;
  readonly body: Uint8Array;
}

interface MultipartHeader<T extends string> {
  readonly type: T;
  readonly xid: number;
  /** More parts with this xid follow. */
  readonly more: boolean;
}

export type MultipartRequest = MultipartHeader<'multipart_request'> &
  (
    | {
        readonly [T in MultipartType]: {
          readonly multipartType: T;
          readonly body: MultipartRequestBodies[T];
        };
      }[MultipartType]
    | OpaqueBody
  );

export type MultipartReply = MultipartHeader<'multipart_reply'> &
  (
    | {
        readonly [T in MultipartType]: { readonly multipartType: T; readonly body: MultipartReplyBodies[T] };
      }[MultipartType]
    | OpaqueBody
  );

export type MultipartRequestOf<T extends MultipartType> = Extract<
  MultipartRequest,
  { readonly multipartType: T }
>;
export type MultipartReplyOf<T extends MultipartType> = Extract<
  MultipartReply,
  { readonly multipartType: T }
>;
