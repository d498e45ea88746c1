/**
 * What an OXM field is: a descriptor of one TLV type (OpenFlow 1.3.5, section 7.2.3.2), and the small builders with
 * which the tables of this folder declare fields. Nothing here reads or writes bytes.
 */

/** `number` up to 48 bits (a MAC address is a 48-bit number), `bigint` above, bytes where the length varies. */
export type OxmValue = number | bigint | Uint8Array;

/** How the bytes of a value are to be understood. */
export type FieldKind = 'uint' | 'mac' | 'ipv4' | 'ipv6' | 'bytes' | 'opaque';

/** How `ovs-ofctl` writes a value of the field. */
export type FieldFormat =
  | 'decimal'
  | 'hexadecimal'
  | 'mac'
  | 'ipv4'
  | 'ipv6'
  | 'port'
  | 'vlan_vid'
  | 'fragment'
  | 'ct_state'
  | 'tcp_flags'
  | 'tunnel_flags'
  | 'packet_type'
  | 'bytes';

/** Another field that a match must hold, exactly and with one of these values, before this field may occur. */
export interface Prerequisite {
  readonly field: string;
  readonly values: readonly number[];
  /** Bits of `field` that are compared. All of them when absent. */
  readonly mask?: number;
}

/** One OXM field. Compared by reference: the same class, number and experimenter always give the same object. */
export interface Field<V extends OxmValue = OxmValue> {
  /** The name of the specification (`ipv4_src`), or of `ovs-fields(7)` for fields the specification does not have. */
  readonly name: string;
  /** The name `ovs-ofctl` gives the field in `set_field` (`ip_src`). */
  readonly ovsName: string;
  /** The name of the TLV (`OXM_OF_IPV4_SRC`, `NXM_NX_REG0`), as `ovs-ofctl` writes it in `move` and `load`. */
  readonly wireName: string;
  /** `oxm_class`, 16 bits. */
  readonly class: number;
  /** `oxm_field`, 7 bits. */
  readonly number: number;
  /** Experimenter id where the class is `OFPXMC_EXPERIMENTER` (0xffff). */
  readonly experimenter?: number | undefined;
  /** Bits that may be set in a value. 0 where the length varies. */
  readonly bits: number;
  /** Bytes of one value on the wire (the mask takes as many again). 0 where the length varies. */
  readonly bytes: number;
  readonly maskable: boolean;
  readonly kind: FieldKind;
  readonly format: FieldFormat;
  readonly prerequisites: readonly Prerequisite[];
  /** Where the field is defined: section of OpenFlow 1.3.5, ONF extension, or Open vSwitch release. */
  readonly source: string;
  /** The mask that means "exactly this value": all bits set. Empty where the length varies. */
  readonly exactMask: V;
  /** First four bytes of the TLV without a mask, as a signed 32-bit number; the longest length where it varies. */
  readonly header: number;
  /** First four bytes of the TLV with a mask, as a signed 32-bit number; the longest length where it varies. */
  readonly maskedHeader: number;
  /** Set only on the descriptor of a field this library does not know: whether the TLV had its mask bit set. */
  readonly hasMask?: boolean | undefined;
  /** The name, so that a match reads well as JSON. */
  toJSON(): string;
}

/** `oxm_class` values in use. */
export const OxmClass = {
  /** `OFPXMC_NXM_0`: NXM_OF_ fields. */
  NXM_0: 0x0000,
  /** `OFPXMC_NXM_1`: NXM_NX_ fields. */
  NXM_1: 0x0001,
  /** ERICOXM_OF_ fields of Ericsson (Open vSwitch 2.11). */
  ERICSSON: 0x1000,
  /** `OFPXMC_OPENFLOW_BASIC`. */
  OPENFLOW_BASIC: 0x8000,
  /** `OFPXMC_PACKET_REGS`: 64-bit registers. */
  PACKET_REGISTERS: 0x8001,
  EXPERIMENTER: 0xffff,
} as const;

/** What a table says of one field; its name is the key in the table. */
export interface FieldRow<V extends OxmValue> {
  readonly number: number;
  readonly bits: number;
  readonly bytes: number;
  readonly kind: FieldKind;
  readonly exactMask: V;
  readonly wire: string;
  readonly options: FieldOptions;
}

export interface FieldOptions {
  /** Default: true for `mac`, `ipv4`, `ipv6` and `bytes`, else false. */
  readonly maskable?: boolean;
  readonly format?: FieldFormat;
  readonly prerequisites?: readonly Prerequisite[];
  readonly ovsName?: string;
  readonly source?: string;
  /** Bytes on the wire where they are more than the bits ask for. */
  readonly bytes?: number;
}

/** A field of up to 48 bits. `wire` is the end of its wire name, after the prefix of its table. */
export const narrow = (
  number: number,
  bits: number,
  wire: string,
  options: FieldOptions = {},
): FieldRow<number> => ({
  number,
  bits,
  bytes: options.bytes ?? Math.ceil(bits / 8),
  kind: 'uint',
  exactMask: 2 ** bits - 1,
  wire,
  options,
});

/** An Ethernet address. */
export const mac = (number: number, wire: string, options: FieldOptions = {}): FieldRow<number> => ({
  ...narrow(number, 48, wire, { maskable: true, format: 'mac', ...options }),
  kind: 'mac',
});

/** An IPv4 address. */
export const ipv4 = (number: number, wire: string, options: FieldOptions = {}): FieldRow<number> => ({
  ...narrow(number, 32, wire, { maskable: true, format: 'ipv4', ...options }),
  kind: 'ipv4',
});

/** A number of 64 or 128 bits; always maskable in the fields that exist. */
export const wide = (
  number: number,
  bits: 64 | 128,
  wire: string,
  options: FieldOptions = {},
): FieldRow<bigint> => ({
  number,
  bits,
  bytes: bits / 8,
  kind: 'uint',
  exactMask: (1n << BigInt(bits)) - 1n,
  wire,
  options: { maskable: true, format: 'hexadecimal', ...options },
});

/** An IPv6 address. */
export const ipv6 = (number: number, wire: string, options: FieldOptions = {}): FieldRow<bigint> => ({
  ...wide(number, 128, wire, { format: 'ipv6', ...options }),
  kind: 'ipv6',
});

/** Bytes of a length that differs from match to match. */
export const variable = (number: number, wire: string, options: FieldOptions = {}): FieldRow<Uint8Array> => ({
  number,
  bits: 0,
  bytes: 0,
  kind: 'bytes',
  exactMask: new Uint8Array(0),
  wire,
  options: { maskable: true, format: 'bytes', ...options },
});

/** Bytes of the longest value of a field whose length varies (Geneve options in ovs-fields(7)). */
export const MAX_VARIABLE_LENGTH = 124;

/** What the fields of one table have in common. */
export interface FieldSpace {
  readonly class: number;
  readonly experimenter?: number;
  /** Start of the wire name: `OXM_OF_`. */
  readonly prefix: string;
  readonly source: string;
}

export type FieldsOf<T extends Record<string, FieldRow<OxmValue>>> = {
  readonly [K in keyof T]: T[K] extends FieldRow<infer V> ? Field<V> : never;
};

/** One class for all descriptors, known and unknown, so that they have one shape in the engine. */
class Descriptor<V extends OxmValue> implements Field<V> {
  readonly name: string;
  readonly ovsName: string;
  readonly wireName: string;
  readonly class: number;
  readonly number: number;
  readonly experimenter: number | undefined;
  readonly bits: number;
  readonly bytes: number;
  readonly maskable: boolean;
  readonly kind: FieldKind;
  readonly format: FieldFormat;
  readonly prerequisites: readonly Prerequisite[];
  readonly source: string;
  readonly exactMask: V;
  readonly header: number;
  readonly maskedHeader: number;
  readonly hasMask: boolean | undefined;

  constructor(space: FieldSpace, name: string, row: FieldRow<V>, hasMask?: boolean) {
    const prefix = space.experimenter === undefined ? 0 : 4;
    const bytes = row.bytes === 0 ? MAX_VARIABLE_LENGTH : row.bytes;
    this.name = name;
    this.ovsName = row.options.ovsName ?? name;
    this.wireName = space.prefix + row.wire;
    this.class = space.class;
    this.number = row.number;
    this.experimenter = space.experimenter;
    this.bits = row.bits;
    this.bytes = row.bytes;
    this.maskable = row.options.maskable ?? false;
    this.kind = row.kind;
    this.format = row.options.format ?? 'decimal';
    this.prerequisites = row.options.prerequisites ?? [];
    this.source = row.options.source ?? space.source;
    this.exactMask = row.exactMask;
    this.header = tlvHeader(space.class, row.number, false, prefix + bytes);
    this.maskedHeader = tlvHeader(space.class, row.number, true, prefix + 2 * bytes);
    this.hasMask = hasMask;
  }

  toJSON(): string {
    return this.name;
  }
}

/** The four bytes at the start of an OXM TLV, as a signed 32-bit number. */
export function tlvHeader(oxmClass: number, number: number, hasMask: boolean, length: number): number {
  return (oxmClass << 16) | (number << 9) | (hasMask ? 0x100 : 0) | length;
}

/** Turns the rows of a table into descriptors. */
export function defineFields<T extends Record<string, FieldRow<OxmValue>>>(
  space: FieldSpace,
  rows: T,
): FieldsOf<T> {
  const entries = Object.entries(rows).map(([name, row]) => [name, new Descriptor(space, name, row)]);
  return Object.fromEntries(entries) as FieldsOf<T>;
}

/**
 * The descriptor of a field this library does not know. Its value is the whole payload of the TLV after the four-byte
 * header (experimenter id and mask included), so that it goes back to the wire as it came.
 */
export function opaqueField(
  oxmClass: number,
  number: number,
  hasMask: boolean,
  experimenter?: number,
): Field<Uint8Array> {
  const name = `unknown_0x${oxmClass.toString(16)}_${number}`;
  const space = {
    class: oxmClass,
    prefix: '',
    source: 'unknown',
    ...(experimenter === undefined ? {} : { experimenter }),
  };
  return new Descriptor(space, name, { ...variable(number, name), kind: 'opaque' }, hasMask);
}
