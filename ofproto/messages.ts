/**
 * Every message as a plain value, discriminated by `type` (OpenFlow 1.3.5, section 7; ONF extensions EXT-187, EXT-191
 * and EXT-230; Nicira's as in nicira-ext.h of Open vSwitch). Times in seconds and nanoseconds, cookies and counters as
 * bigint, reasons, commands, flags and roles as the numbers of constants.ts.
 */
import type { Action, Instruction } from './actions.js';
import type { Match } from './oxm/oxm.js';
import type { MultipartReply, MultipartRequest } from './multipart.js';
import type {
  AsyncMasks,
  Bucket,
  BundleProperty,
  CtTuple,
  MeterBand,
  PacketQueue,
  PortDescription,
  TlvMapping,
  UnknownProperty,
} from './structures.js';

export type Message =
  | Hello
  | ErrorMessage
  | EchoRequest
  | EchoReply
  | Experimenter
  | FeaturesRequest
  | FeaturesReply
  | GetConfigRequest
  | GetConfigReply
  | SetConfig
  | PacketIn
  | FlowRemoved
  | PortStatus
  | PacketOut
  | FlowMod
  | GroupMod
  | PortMod
  | TableMod
  | MultipartRequest
  | MultipartReply
  | BarrierRequest
  | BarrierReply
  | QueueGetConfigRequest
  | QueueGetConfigReply
  | RoleRequest
  | RoleReply
  | GetAsyncRequest
  | GetAsyncReply
  | SetAsync
  | MeterMod
  | BundleControl
  | BundleAddMessage
  | RoleStatus
  | FlowMonitorCancel
  | FlowMonitorPaused
  | FlowMonitorResumed
  | NxSetPacketInFormat
  | NxSetControllerId
  | NxPacketIn2
  | NxResume
  | NxCtFlushZone
  | NxCtFlush
  | NxTlvTableMod
  | NxTlvTableRequest
  | NxTlvTableReply
  | OpaqueMessage;

export type MessageType = Message['type'];
export type MessageOf<T extends MessageType> = Extract<Message, { readonly type: T }>;

/** What every message has. `xid`: 32 bits, chosen by the sender; a reply carries that of its request. */
interface Header<T extends string> {
  readonly type: T;
  readonly xid: number;
}

/** `version`: that of the header; `versions`: those of the version bitmap, absent where there was none. */
export interface Hello extends Header<'hello'> {
  readonly version: number;
  readonly versions?: readonly number[];
  /** Elements this library does not know. */
  readonly elements?: readonly { readonly number: number; readonly data: Uint8Array }[];
}

/** `data`: the start of the message that failed, at least 64 bytes of it where it had as many, or a text (hello failed). */
export interface ErrorMessage extends Header<'error'> {
  readonly errorType: number;
  readonly code: number;
  /** Set where `errorType` is 0xffff; `code` is then the experimenter's. */
  readonly experimenter?: number;
  readonly data: Uint8Array;
}

export interface EchoRequest extends Header<'echo_request'> {
  readonly data: Uint8Array;
}
export interface EchoReply extends Header<'echo_reply'> {
  readonly data: Uint8Array;
}

/** A message of an experimenter, or of a subtype, that this library does not know. */
export interface Experimenter extends Header<'experimenter'> {
  readonly experimenter: number;
  readonly experimenterType: number;
  readonly data: Uint8Array;
}

export interface FeaturesRequest extends Header<'features_request'> {}
export interface FeaturesReply extends Header<'features_reply'> {
  readonly datapathId: bigint;
  readonly buffers: number;
  readonly tables: number;
  readonly auxiliaryId: number;
  readonly capabilities: number;
}

export interface GetConfigRequest extends Header<'get_config_request'> {}
export interface GetConfigReply extends Header<'get_config_reply'> {
  readonly flags: number;
  readonly missSendLength: number;
}
export interface SetConfig extends Header<'set_config'> {
  readonly flags: number;
  readonly missSendLength: number;
}

/** `totalLength`: bytes of the whole frame, of which `data` may hold the start only. */
export interface PacketIn extends Header<'packet_in'> {
  readonly bufferId: number;
  readonly totalLength: number;
  readonly reason: number;
  readonly tableId: number;
  readonly cookie: bigint;
  readonly match: Match;
  readonly data: Uint8Array;
}

export interface FlowRemoved extends Header<'flow_removed'> {
  readonly cookie: bigint;
  readonly priority: number;
  readonly reason: number;
  readonly tableId: number;
  readonly durationSec: number;
  readonly durationNsec: number;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly packetCount: bigint;
  readonly byteCount: bigint;
  readonly match: Match;
}

export interface PortStatus extends Header<'port_status'> {
  readonly reason: number;
  readonly port: PortDescription;
}

/** `data` is empty where `bufferId` names a packet buffered at the switch. */
export interface PacketOut extends Header<'packet_out'> {
  readonly bufferId: number;
  readonly inPort: number;
  readonly actions: readonly Action[];
  readonly data: Uint8Array;
}

/** Timeouts in seconds, 0: none. `outPort` and `outGroup` filter deletions; `Port.ANY` and `Group.ANY` where they do not. */
export interface FlowMod extends Header<'flow_mod'> {
  readonly command: number;
  readonly tableId: number;
  readonly cookie: bigint;
  readonly cookieMask: bigint;
  readonly idleTimeout: number;
  readonly hardTimeout: number;
  readonly priority: number;
  readonly bufferId: number;
  readonly outPort: number;
  readonly outGroup: number;
  readonly flags: number;
  readonly match: Match;
  readonly instructions: readonly Instruction[];
}

export interface GroupMod extends Header<'group_mod'> {
  readonly command: number;
  readonly groupType: number;
  readonly groupId: number;
  readonly buckets: readonly Bucket[];
}

/** `mask`: which bits of `config` change. `advertise`: `PortFeature` bits, 0: unchanged. */
export interface PortMod extends Header<'port_mod'> {
  readonly portNo: number;
  readonly hardwareAddress: number;
  readonly config: number;
  readonly mask: number;
  readonly advertise: number;
}

export interface TableMod extends Header<'table_mod'> {
  readonly tableId: number;
  readonly config: number;
}

export interface BarrierRequest extends Header<'barrier_request'> {}
export interface BarrierReply extends Header<'barrier_reply'> {}

export interface QueueGetConfigRequest extends Header<'queue_get_config_request'> {
  readonly port: number;
}
export interface QueueGetConfigReply extends Header<'queue_get_config_reply'> {
  readonly port: number;
  readonly queues: readonly PacketQueue[];
}

export interface RoleRequest extends Header<'role_request'> {
  readonly role: number;
  readonly generationId: bigint;
}
export interface RoleReply extends Header<'role_reply'> {
  readonly role: number;
  readonly generationId: bigint;
}

export interface GetAsyncRequest extends Header<'get_async_request'> {}
/** Which asynchronous messages a controller gets, by its role. */
export interface AsyncConfig {
  readonly packetIn: AsyncMasks;
  readonly portStatus: AsyncMasks;
  readonly flowRemoved: AsyncMasks;
}
export interface GetAsyncReply extends Header<'get_async_reply'>, AsyncConfig {}
export interface SetAsync extends Header<'set_async'>, AsyncConfig {}

export interface MeterMod extends Header<'meter_mod'> {
  readonly command: number;
  /** `MeterFlag` bits. */
  readonly flags: number;
  readonly meterId: number;
  readonly bands: readonly MeterBand[];
}

/** Opens, closes, commits or discards a bundle (EXT-230, ONF 2300). */
export interface BundleControl extends Header<'bundle_control'> {
  readonly bundleId: number;
  /** `BundleControlType`. */
  readonly controlType: number;
  /** `BundleFlag` bits. */
  readonly flags: number;
  readonly properties?: readonly BundleProperty[];
}

/** Adds a message to a bundle (EXT-230, ONF 2301). The inner message is written with the xid of the outer one. */
export interface BundleAddMessage extends Header<'bundle_add_message'> {
  readonly bundleId: number;
  readonly flags: number;
  readonly message: Message;
  readonly properties?: readonly BundleProperty[];
}

/** The switch changed this controller's role (EXT-191, ONF 1911). `reason`: 0 another became master, 1 configuration, 2 experimenter. */
export interface RoleStatus extends Header<'role_status'> {
  readonly role: number;
  readonly reason: number;
  readonly generationId: bigint;
}

/** Ends a flow monitor (EXT-187, ONF 1870). */
export interface FlowMonitorCancel extends Header<'flow_monitor_cancel'> {
  readonly monitorId: number;
}
/** The switch has stopped sending updates, its buffer being full (EXT-187, ONF 1871). */
export interface FlowMonitorPaused extends Header<'flow_monitor_paused'> {}
/** Updates are sent again (EXT-187, ONF 1872). */
export interface FlowMonitorResumed extends Header<'flow_monitor_resumed'> {}

/** Chooses the form of packet-ins, `PacketInFormat` (Nicira 16). */
export interface NxSetPacketInFormat extends Header<'nx_set_packet_in_format'> {
  readonly format: number;
}

/** Gives this connection the id that the `controller` actions name, 16 bits (Nicira 20). */
export interface NxSetControllerId extends Header<'nx_set_controller_id'> {
  readonly controllerId: number;
}

/** What packet-in2 and resume carry. Only what the switch sent is there. */
export interface PacketIn2Properties {
  readonly packet?: Uint8Array;
  /** Bytes of the whole frame, where `packet` holds its start only. */
  readonly fullLength?: number;
  readonly bufferId?: number;
  readonly tableId?: number;
  readonly cookie?: bigint;
  readonly reason?: number;
  readonly metadata?: Match;
  readonly userdata?: Uint8Array;
  /** State of a packet paused by `controller2` with `pause`, to be sent back unchanged. */
  readonly continuation?: Uint8Array;
  readonly unknown?: readonly UnknownProperty[];
}
/** A packet with properties instead of fixed fields (Nicira 30). */
export interface NxPacketIn2 extends Header<'nx_packet_in2'>, PacketIn2Properties {}
/** Lets a paused packet go on (Nicira 28). */
export interface NxResume extends Header<'nx_resume'>, PacketIn2Properties {}

/** Removes all conntrack entries of a zone (Nicira 29). */
export interface NxCtFlushZone extends Header<'nx_ct_flush_zone'> {
  readonly zone: number;
}
/** Removes the conntrack entries of a connection (Nicira 32). */
export interface NxCtFlush extends Header<'nx_ct_flush'> {
  /** 0 in OpenFlow terms means any where there is a tuple. */
  readonly ipProto: number;
  /** Absent: all zones. */
  readonly zone?: number;
  readonly original?: CtTuple;
  readonly reply?: CtTuple;
  readonly unknown?: readonly UnknownProperty[];
}

/** Changes the mapping of Geneve options (Nicira 24). `command`: 0 add, 1 delete, 2 clear. */
export interface NxTlvTableMod extends Header<'nx_tlv_table_mod'> {
  readonly command: number;
  readonly mappings: readonly TlvMapping[];
}
export interface NxTlvTableRequest extends Header<'nx_tlv_table_request'> {}
/** `maxOptionSpace`: bytes of options per packet; `maxFields`: mappings (Nicira 26). */
export interface NxTlvTableReply extends Header<'nx_tlv_table_reply'> {
  readonly maxOptionSpace: number;
  readonly maxFields: number;
  readonly mappings: readonly TlvMapping[];
}

/** A message of a type that OpenFlow 1.3.5 does not have. `data`: everything after the header. */
export interface OpaqueMessage extends Header<'opaque'> {
  readonly number: number;
  readonly data: Uint8Array;
}
