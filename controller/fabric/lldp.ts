/**
 * LLDP frames (IEEE 802.1AB-2016): the TLVs that discovery needs, to bytes and back. Frames come from whoever is at a port: nothing here
 * throws, what is not a well-formed LLDPDU is `undefined`.
 */

export const LLDP_ETHERTYPE = 0x88cc;

/** IEEE 802.1AB table 7-1: "nearest bridge". No bridge that keeps to IEEE 802.1Q passes it on. */
export const NEAREST_BRIDGE = 0x0180_c200_000e;

/** An identifier with its subtype (8.5.2.2, 8.5.3.2). */
export interface LldpId {
  readonly subtype: number;
  readonly id: Uint8Array;
}

/** An organisation-specific TLV (8.6). */
export interface OrganisationTlv {
  /** 24 bits. */
  readonly oui: number;
  readonly subtype: number;
  /** At most 507 bytes. */
  readonly information: Uint8Array;
}

export interface Lldpdu {
  /** 1 to 255 bytes. */
  readonly chassisId: LldpId;
  /** 1 to 255 bytes. */
  readonly portId: LldpId;
  /** Seconds for which it is true, 16 bits. */
  readonly ttl: number;
  /** At most 255 bytes. */
  readonly portDescription?: string;
  /** At most 255 bytes. */
  readonly systemName?: string;
  readonly organisations: readonly OrganisationTlv[];
}

export interface LldpFrame {
  /** 48 bits. */
  readonly destination: number;
  /** 48 bits. */
  readonly source: number;
  readonly lldpdu: Lldpdu;
}

/** Subtype "locally assigned" of chassis ids and of port ids (tables 8-2 and 8-3). */
export const LOCALLY_ASSIGNED = 7;

const Tlv = {
  end: 0,
  chassisId: 1,
  portId: 2,
  ttl: 3,
  portDescription: 4,
  systemName: 5,
  organisation: 127,
} as const;

const ETHERNET_HEADER = 14;
/** Shortest Ethernet frame, without its check sequence. */
const MIN_FRAME = 60;
/** TLVs looked at in one frame; well over what a frame of 1,500 bytes can mean to say. */
const MAX_TLVS = 128;

/** The frame, padded to the shortest that Ethernet allows. @throws RangeError where an identifier or a text is too long. */
export function encodeLldp({ destination, source, lldpdu }: LldpFrame): Uint8Array {
  const { chassisId, portId, ttl, portDescription, systemName, organisations } = lldpdu;
  const tlvs: [type: number, value: Uint8Array][] = [
    [Tlv.chassisId, identifier(chassisId)],
    [Tlv.portId, identifier(portId)],
    [Tlv.ttl, Uint8Array.of(ttl >>> 8, ttl & 0xff)],
  ];
  if (portDescription !== undefined) tlvs.push([Tlv.portDescription, text(portDescription)]);
  if (systemName !== undefined) tlvs.push([Tlv.systemName, text(systemName)]);
  for (const { oui, subtype, information } of organisations) {
    const value = new Uint8Array(4 + information.length);
    value.set([oui >>> 16, (oui >>> 8) & 0xff, oui & 0xff, subtype]);
    value.set(information, 4);
    tlvs.push([Tlv.organisation, limited(value, 511)]);
  }
  tlvs.push([Tlv.end, new Uint8Array(0)]);
  const length = tlvs.reduce((sum, [, value]) => sum + 2 + value.length, ETHERNET_HEADER);
  const frame = new Uint8Array(Math.max(MIN_FRAME, length));
  const view = new DataView(frame.buffer);
  putMac(view, 0, destination);
  putMac(view, 6, source);
  view.setUint16(12, LLDP_ETHERTYPE);
  let offset = ETHERNET_HEADER;
  for (const [type, value] of tlvs) {
    view.setUint16(offset, (type << 9) | value.length);
    frame.set(value, offset + 2);
    offset += 2 + value.length;
  }
  return frame;
}

/** The LLDPDU of an untagged frame; `undefined` where there is none, or it is not well-formed (9.2.7.7.1). */
export function decodeLldp(frame: Uint8Array): LldpFrame | undefined {
  if (frame.length < ETHERNET_HEADER) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== LLDP_ETHERTYPE) return undefined;
  const tlvs = readTlvs(frame, view);
  if (tlvs === undefined) return undefined;
  const [chassis, port, life] = tlvs;
  // The first three are mandatory and in this order.
  if (chassis?.type !== Tlv.chassisId || port?.type !== Tlv.portId || life?.type !== Tlv.ttl)
    return undefined;
  const chassisId = readIdentifier(chassis.value);
  const portId = readIdentifier(port.value);
  if (chassisId === undefined || portId === undefined || life.value.length < 2) return undefined;
  const rest = tlvs.slice(3);
  if (rest.some(({ type }) => type >= Tlv.chassisId && type <= Tlv.ttl)) return undefined;
  const portDescription = rest.find(({ type }) => type === Tlv.portDescription);
  const systemName = rest.find(({ type }) => type === Tlv.systemName);
  return {
    destination: getMac(view, 0),
    source: getMac(view, 6),
    lldpdu: {
      chassisId,
      portId,
      ttl: ((life.value[0] ?? 0) << 8) | (life.value[1] ?? 0),
      ...(portDescription === undefined ? {} : { portDescription: decoder.decode(portDescription.value) }),
      ...(systemName === undefined ? {} : { systemName: decoder.decode(systemName.value) }),
      organisations: rest.flatMap(({ type, value }) =>
        type === Tlv.organisation ? (readOrganisation(value) ?? []) : [],
      ),
    },
  };
}

interface RawTlv {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Up to the end TLV, or the end of the frame where there is none (it is optional since 2009). */
function readTlvs(frame: Uint8Array, view: DataView): readonly RawTlv[] | undefined {
  const tlvs: RawTlv[] = [];
  let offset = ETHERNET_HEADER;
  while (offset + 2 <= frame.length && tlvs.length < MAX_TLVS) {
    const header = view.getUint16(offset);
    const type = header >>> 9;
    const end = offset + 2 + (header & 0x1ff);
    if (type === Tlv.end) return tlvs;
    if (end > frame.length) return undefined;
    tlvs.push({ type, value: frame.subarray(offset + 2, end) });
    offset = end;
  }
  return tlvs;
}

function readIdentifier(value: Uint8Array): LldpId | undefined {
  const [subtype] = value;
  if (subtype === undefined || value.length < 2 || value.length > 256) return undefined;
  return { subtype, id: value.subarray(1) };
}

function readOrganisation(value: Uint8Array): OrganisationTlv | undefined {
  const [high, middle, low, subtype] = value;
  if (high === undefined || middle === undefined || low === undefined || subtype === undefined)
    return undefined;
  return { oui: (high << 16) | (middle << 8) | low, subtype, information: value.subarray(4) };
}

function identifier({ subtype, id }: LldpId): Uint8Array {
  if (id.length === 0) throw new RangeError('an LLDP identifier has at least one byte');
  const value = new Uint8Array(1 + id.length);
  value[0] = subtype;
  value.set(id, 1);
  return limited(value, 256);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const text = (value: string): Uint8Array => limited(encoder.encode(value), 255);

function limited(value: Uint8Array, limit: number): Uint8Array {
  if (value.length > limit) throw new RangeError(`${value.length} bytes in an LLDP TLV that takes ${limit}`);
  return value;
}

function putMac(view: DataView, offset: number, mac: number): void {
  view.setUint16(offset, mac / 0x1_0000_0000);
  view.setUint32(offset + 2, mac);
}

function getMac(view: DataView, offset: number): number {
  return view.getUint16(offset) * 0x1_0000_0000 + view.getUint32(offset + 2);
}
