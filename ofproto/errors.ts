/** Error types and codes (OpenFlow 1.3.5, section 7.4.4), and those of Nicira and ONF that Open vSwitch sends. */

export const ErrorType = {
  HELLO_FAILED: 0,
  BAD_REQUEST: 1,
  BAD_ACTION: 2,
  BAD_INSTRUCTION: 3,
  BAD_MATCH: 4,
  FLOW_MOD_FAILED: 5,
  GROUP_MOD_FAILED: 6,
  PORT_MOD_FAILED: 7,
  TABLE_MOD_FAILED: 8,
  QUEUE_OP_FAILED: 9,
  SWITCH_CONFIG_FAILED: 10,
  ROLE_REQUEST_FAILED: 11,
  METER_MOD_FAILED: 12,
  TABLE_FEATURES_FAILED: 13,
  EXPERIMENTER: 0xffff,
} as const;

export const HelloFailedCode = { INCOMPATIBLE: 0, EPERM: 1 } as const;
export const BadRequestCode = {
  BAD_VERSION: 0,
  BAD_TYPE: 1,
  BAD_MULTIPART: 2,
  BAD_EXPERIMENTER: 3,
  BAD_EXP_TYPE: 4,
  EPERM: 5,
  BAD_LEN: 6,
  BUFFER_EMPTY: 7,
  BUFFER_UNKNOWN: 8,
  BAD_TABLE_ID: 9,
  IS_SLAVE: 10,
  BAD_PORT: 11,
  BAD_PACKET: 12,
  MULTIPART_BUFFER_OVERFLOW: 13,
} as const;
export const BadActionCode = {
  BAD_TYPE: 0,
  BAD_LEN: 1,
  BAD_EXPERIMENTER: 2,
  BAD_EXP_TYPE: 3,
  BAD_OUT_PORT: 4,
  BAD_ARGUMENT: 5,
  EPERM: 6,
  TOO_MANY: 7,
  BAD_QUEUE: 8,
  BAD_OUT_GROUP: 9,
  MATCH_INCONSISTENT: 10,
  UNSUPPORTED_ORDER: 11,
  BAD_TAG: 12,
  BAD_SET_TYPE: 13,
  BAD_SET_LEN: 14,
  BAD_SET_ARGUMENT: 15,
} as const;
export const BadInstructionCode = {
  UNKNOWN_INST: 0,
  UNSUP_INST: 1,
  BAD_TABLE_ID: 2,
  UNSUP_METADATA: 3,
  UNSUP_METADATA_MASK: 4,
  BAD_EXPERIMENTER: 5,
  BAD_EXP_TYPE: 6,
  BAD_LEN: 7,
  EPERM: 8,
} as const;
export const BadMatchCode = {
  BAD_TYPE: 0,
  BAD_LEN: 1,
  BAD_TAG: 2,
  BAD_DL_ADDR_MASK: 3,
  BAD_NW_ADDR_MASK: 4,
  BAD_WILDCARDS: 5,
  BAD_FIELD: 6,
  BAD_VALUE: 7,
  BAD_MASK: 8,
  BAD_PREREQ: 9,
  DUP_FIELD: 10,
  EPERM: 11,
} as const;
export const FlowModFailedCode = {
  UNKNOWN: 0,
  TABLE_FULL: 1,
  BAD_TABLE_ID: 2,
  OVERLAP: 3,
  EPERM: 4,
  BAD_TIMEOUT: 5,
  BAD_COMMAND: 6,
  BAD_FLAGS: 7,
} as const;
export const GroupModFailedCode = {
  GROUP_EXISTS: 0,
  INVALID_GROUP: 1,
  WEIGHT_UNSUPPORTED: 2,
  OUT_OF_GROUPS: 3,
  OUT_OF_BUCKETS: 4,
  CHAINING_UNSUPPORTED: 5,
  WATCH_UNSUPPORTED: 6,
  LOOP: 7,
  UNKNOWN_GROUP: 8,
  CHAINED_GROUP: 9,
  BAD_TYPE: 10,
  BAD_COMMAND: 11,
  BAD_BUCKET: 12,
  BAD_WATCH: 13,
  EPERM: 14,
} as const;
export const PortModFailedCode = {
  BAD_PORT: 0,
  BAD_HW_ADDR: 1,
  BAD_CONFIG: 2,
  BAD_ADVERTISE: 3,
  EPERM: 4,
} as const;
export const TableModFailedCode = { BAD_TABLE: 0, BAD_CONFIG: 1, EPERM: 2 } as const;
export const QueueOpFailedCode = { BAD_PORT: 0, BAD_QUEUE: 1, EPERM: 2 } as const;
export const SwitchConfigFailedCode = { BAD_FLAGS: 0, BAD_LEN: 1, EPERM: 2 } as const;
export const RoleRequestFailedCode = { STALE: 0, UNSUP: 1, BAD_ROLE: 2 } as const;
export const MeterModFailedCode = {
  UNKNOWN: 0,
  METER_EXISTS: 1,
  INVALID_METER: 2,
  UNKNOWN_METER: 3,
  BAD_COMMAND: 4,
  BAD_FLAGS: 5,
  BAD_RATE: 6,
  BAD_BURST: 7,
  BAD_BAND: 8,
  BAD_BAND_VALUE: 9,
  OUT_OF_METERS: 10,
  OUT_OF_BANDS: 11,
} as const;
export const TableFeaturesFailedCode = {
  BAD_TABLE: 0,
  BAD_METADATA: 1,
  BAD_TYPE: 2,
  BAD_LEN: 3,
  BAD_ARGUMENT: 4,
  EPERM: 5,
} as const;

/** Bundle errors on OpenFlow 1.3 (ONF EXT-230): experimenter errors of ONF with these codes. */
export const BundleFailedCode = {
  UNKNOWN: 2300,
  EPERM: 2301,
  BAD_ID: 2302,
  BUNDLE_EXIST: 2303,
  BUNDLE_CLOSED: 2304,
  OUT_OF_BUNDLES: 2305,
  BAD_TYPE: 2306,
  BAD_FLAGS: 2307,
  MSG_BAD_LEN: 2308,
  MSG_BAD_XID: 2309,
  MSG_UNSUP: 2310,
  MSG_CONFLICT: 2311,
  MSG_TOO_MANY: 2312,
  MSG_FAILED: 2313,
  TIMEOUT: 2314,
  BUNDLE_IN_PROGRESS: 2315,
} as const;

/** Errors of Open vSwitch on OpenFlow 1.3: experimenter errors of Nicira, by the name it prints. */
export const NiciraErrorCode = {
  NXBRC_NXM_INVALID: 2,
  NXBRC_NXM_BAD_TYPE: 3,
  NXBRC_MUST_BE_ZERO: 4,
  NXBRC_BAD_REASON: 5,
  OFPMOFC_MONITOR_EXISTS: 6,
  OFPMOFC_BAD_FLAGS: 7,
  OFPMOFC_UNKNOWN_MONITOR: 8,
  NXBRC_FM_BAD_EVENT: 9,
  NXBRC_UNENCODABLE_ERROR: 10,
  NXBAC_MUST_BE_ZERO: 11,
  NXFMFC_HARDWARE: 12,
  NXFMFC_BAD_TABLE_ID: 13,
  NXBAC_BAD_CONJUNCTION: 15,
  NXTTMFC_BAD_COMMAND: 16,
  NXTTMFC_BAD_OPT_LEN: 17,
  NXTTMFC_BAD_FIELD_IDX: 18,
  NXTTMFC_TABLE_FULL: 19,
  NXTTMFC_ALREADY_MAPPED: 20,
  NXTTMFC_DUP_ENTRY: 21,
  NXR_NOT_SUPPORTED: 34,
  NXR_STALE: 35,
  NXST_NOT_CONFIGURED: 36,
  NXFMFC_INVALID_TLV_FIELD: 37,
  NXTTMFC_INVALID_TLV_DEL: 38,
  NXBAC_BAD_HEADER_TYPE: 39,
  NXBAC_UNKNOWN_ED_PROP: 40,
  NXBAC_BAD_ED_PROP: 41,
  NXBAC_CT_DATAPATH_SUPPORT: 42,
  NXBMC_CT_DATAPATH_SUPPORT: 43,
  NXTFFC_DUP_TABLE: 44,
} as const;

interface ErrorFamily {
  /** How the specification abbreviates the enumeration of the codes. */
  readonly prefix: string;
  readonly codes: Readonly<Record<string, number>>;
}

const FAMILIES: Readonly<Record<number, ErrorFamily>> = {
  [ErrorType.HELLO_FAILED]: { prefix: 'OFPHFC', codes: HelloFailedCode },
  [ErrorType.BAD_REQUEST]: { prefix: 'OFPBRC', codes: BadRequestCode },
  [ErrorType.BAD_ACTION]: { prefix: 'OFPBAC', codes: BadActionCode },
  [ErrorType.BAD_INSTRUCTION]: { prefix: 'OFPBIC', codes: BadInstructionCode },
  [ErrorType.BAD_MATCH]: { prefix: 'OFPBMC', codes: BadMatchCode },
  [ErrorType.FLOW_MOD_FAILED]: { prefix: 'OFPFMFC', codes: FlowModFailedCode },
  [ErrorType.GROUP_MOD_FAILED]: { prefix: 'OFPGMFC', codes: GroupModFailedCode },
  [ErrorType.PORT_MOD_FAILED]: { prefix: 'OFPPMFC', codes: PortModFailedCode },
  [ErrorType.TABLE_MOD_FAILED]: { prefix: 'OFPTMFC', codes: TableModFailedCode },
  [ErrorType.QUEUE_OP_FAILED]: { prefix: 'OFPQOFC', codes: QueueOpFailedCode },
  [ErrorType.SWITCH_CONFIG_FAILED]: { prefix: 'OFPSCFC', codes: SwitchConfigFailedCode },
  [ErrorType.ROLE_REQUEST_FAILED]: { prefix: 'OFPRRFC', codes: RoleRequestFailedCode },
  [ErrorType.METER_MOD_FAILED]: { prefix: 'OFPMMFC', codes: MeterModFailedCode },
  [ErrorType.TABLE_FEATURES_FAILED]: { prefix: 'OFPTFFC', codes: TableFeaturesFailedCode },
};
const ONF_FAMILY: ErrorFamily = { prefix: 'OFPBFC', codes: BundleFailedCode };
const NICIRA = 0x00002320;
const ONF = 0x4f4e4600;

const nameIn = (codes: Readonly<Record<string, number>>, code: number): string | undefined =>
  Object.keys(codes).find((name) => codes[name] === code);

/**
 * The name of an error as the specification writes it: `OFPFMFC_TABLE_FULL`, `OFPBFC_TIMEOUT` (an error of ONF's
 * bundles), or `type 5 code 99` where the code has no name.
 */
export function errorName(type: number, code: number, experimenter?: number): string {
  if (experimenter === NICIRA) {
    const name = nameIn(NiciraErrorCode, code);
    if (name !== undefined) return name;
  }
  const family =
    type === ErrorType.EXPERIMENTER ? (experimenter === ONF ? ONF_FAMILY : undefined) : FAMILIES[type];
  const name = family === undefined ? undefined : nameIn(family.codes, code);
  if (family !== undefined && name !== undefined) return `${family.prefix}_${name}`;
  return experimenter === undefined
    ? `type ${type} code ${code}`
    : `experimenter 0x${experimenter.toString(16)} code ${code}`;
}
