/** Numbers of OpenFlow 1.3.5 that people write and read. Error types and codes are in errors.ts. */

/** The wire version of OpenFlow 1.3. */
export const OFP_VERSION = 0x04;
/** The longest message there can be: its length field has 16 bits. */
export const MAX_MESSAGE_LENGTH = 0xffff;
/** Bytes of the header of every message. */
export const HEADER_LENGTH = 8;
/** `buffer_id` of a message whose packet is not buffered at the switch (OFP_NO_BUFFER). */
export const NO_BUFFER = 0xffffffff;

/** Reserved port numbers (section 7.2.1, ofp_port_no). */
export const Port = {
  /** Largest number of a physical or logical port. */
  MAX: 0xffffff00,
  IN_PORT: 0xfffffff8,
  TABLE: 0xfffffff9,
  NORMAL: 0xfffffffa,
  FLOOD: 0xfffffffb,
  ALL: 0xfffffffc,
  CONTROLLER: 0xfffffffd,
  LOCAL: 0xfffffffe,
  ANY: 0xffffffff,
} as const;

/** Reserved group numbers (section 7.3.4.3, ofp_group). */
export const Group = { MAX: 0xffffff00, ALL: 0xfffffffc, ANY: 0xffffffff } as const;

/** Reserved table numbers (section 7.3.4.2, ofp_table). */
export const TableId = { MAX: 0xfe, ALL: 0xff } as const;

/** Reserved meter numbers (section 7.3.4.5, ofp_meter). */
export const Meter = {
  MAX: 0xffff0000,
  SLOWPATH: 0xfffffffd,
  CONTROLLER: 0xfffffffe,
  ALL: 0xffffffff,
} as const;

/** Reserved queue number: all queues of a port (OFPQ_ALL). */
export const Queue = { ALL: 0xffffffff } as const;

/** `max_len` of an output to the controller (section 7.2.5, ofp_controller_max_len). */
export const ControllerMaxLength = { MAX: 0xffe5, NO_BUFFER: 0xffff } as const;

/** Bit of `vlan_vid` that says there is a tag (OFPVID_PRESENT); alone it is "any tag". */
export const VLAN_PRESENT = 0x1000;

export const Capability = {
  FLOW_STATS: 1 << 0,
  TABLE_STATS: 1 << 1,
  PORT_STATS: 1 << 2,
  GROUP_STATS: 1 << 3,
  IP_REASM: 1 << 5,
  QUEUE_STATS: 1 << 6,
  PORT_BLOCKED: 1 << 8,
} as const;

/** How a switch treats IP fragments (ofp_config_flags). */
export const ConfigFlag = { FRAG_NORMAL: 0, FRAG_DROP: 1, FRAG_REASM: 2, FRAG_MASK: 3 } as const;

export const PortConfig = {
  PORT_DOWN: 1 << 0,
  NO_RECV: 1 << 2,
  NO_FWD: 1 << 5,
  NO_PACKET_IN: 1 << 6,
} as const;
export const PortState = { LINK_DOWN: 1 << 0, BLOCKED: 1 << 1, LIVE: 1 << 2 } as const;

/** Speeds and media of a port (ofp_port_features). */
export const PortFeature = {
  HD_10MB: 1 << 0,
  FD_10MB: 1 << 1,
  HD_100MB: 1 << 2,
  FD_100MB: 1 << 3,
  HD_1GB: 1 << 4,
  FD_1GB: 1 << 5,
  FD_10GB: 1 << 6,
  FD_40GB: 1 << 7,
  FD_100GB: 1 << 8,
  FD_1TB: 1 << 9,
  OTHER: 1 << 10,
  COPPER: 1 << 11,
  FIBER: 1 << 12,
  AUTONEG: 1 << 13,
  PAUSE: 1 << 14,
  PAUSE_ASYM: 1 << 15,
} as const;

export const FlowModCommand = { ADD: 0, MODIFY: 1, MODIFY_STRICT: 2, DELETE: 3, DELETE_STRICT: 4 } as const;
export const FlowModFlag = {
  SEND_FLOW_REM: 1 << 0,
  CHECK_OVERLAP: 1 << 1,
  RESET_COUNTS: 1 << 2,
  NO_PKT_COUNTS: 1 << 3,
  NO_BYT_COUNTS: 1 << 4,
} as const;
export const FlowRemovedReason = {
  IDLE_TIMEOUT: 0,
  HARD_TIMEOUT: 1,
  DELETE: 2,
  GROUP_DELETE: 3,
  METER_DELETE: 4,
} as const;

export const GroupModCommand = { ADD: 0, MODIFY: 1, DELETE: 2 } as const;
export const GroupType = { ALL: 0, SELECT: 1, INDIRECT: 2, FAST_FAILOVER: 3 } as const;
export const GroupCapability = {
  SELECT_WEIGHT: 1,
  SELECT_LIVENESS: 2,
  CHAINING: 4,
  CHAINING_CHECKS: 8,
} as const;

export const MeterModCommand = { ADD: 0, MODIFY: 1, DELETE: 2 } as const;
export const MeterFlag = { KBPS: 1, PKTPS: 2, BURST: 4, STATS: 8 } as const;

/** Why a packet came (ofp_packet_in_reason; from ACTION_SET on those of OpenFlow 1.4, sent in packet-in2). */
export const PacketInReason = {
  NO_MATCH: 0,
  ACTION: 1,
  INVALID_TTL: 2,
  ACTION_SET: 3,
  GROUP: 4,
  PACKET_OUT: 5,
} as const;
export const PortReason = { ADD: 0, DELETE: 1, MODIFY: 2 } as const;

export const ControllerRole = { NOCHANGE: 0, EQUAL: 1, MASTER: 2, SLAVE: 3 } as const;

/** Bundle control messages (ONF EXT-230, ofp_bundle_ctrl_type). */
export const BundleControlType = {
  OPEN_REQUEST: 0,
  OPEN_REPLY: 1,
  CLOSE_REQUEST: 2,
  CLOSE_REPLY: 3,
  COMMIT_REQUEST: 4,
  COMMIT_REPLY: 5,
  DISCARD_REQUEST: 6,
  DISCARD_REPLY: 7,
} as const;
export const BundleFlag = { ATOMIC: 1, ORDERED: 2 } as const;

/** Formats of packet-in that NXT_SET_PACKET_IN_FORMAT chooses. */
export const PacketInFormat = { STANDARD: 0, NXT_PACKET_IN: 1, NXT_PACKET_IN2: 2 } as const;

/** Flags of the Nicira `ct` action. */
export const CtFlag = { COMMIT: 1, FORCE: 2 } as const;
/** Bits of `ct_state`. */
export const CtState = {
  NEW: 0x01,
  ESTABLISHED: 0x02,
  RELATED: 0x04,
  REPLY: 0x08,
  INVALID: 0x10,
  TRACKED: 0x20,
  SOURCE_NAT: 0x40,
  DESTINATION_NAT: 0x80,
} as const;
/** Flags of the Nicira `nat` action. */
export const NatFlag = { SOURCE: 1, DESTINATION: 2, PERSISTENT: 4, HASH: 8, RANDOM: 16 } as const;
/** Flags of the Nicira `learn` action. */
export const LearnFlag = { SEND_FLOW_REM: 1, DELETE_LEARNED: 2, WRITE_RESULT: 4 } as const;

/** What a flow monitor reports (ONF EXT-187, onf_flow_monitor_flags). */
export const FlowMonitorFlag = {
  INITIAL: 1 << 0,
  ADD: 1 << 1,
  DELETE: 1 << 2,
  MODIFY: 1 << 3,
  ACTIONS: 1 << 4,
  OWN: 1 << 5,
} as const;
/** Kinds of update of a flow monitor (ONF EXT-187, onf_flow_update_event). */
export const FlowUpdateEvent = { ADDED: 0, DELETED: 1, MODIFIED: 2, ABBREVIATED: 3 } as const;
