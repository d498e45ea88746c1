/** OXM TLVs and matches, to bytes and back (OpenFlow 1.3.5, sections 7.2.3.1 to 7.2.3.3). */
import { BadMatchCode, ErrorType } from '../errors.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { type Field, OxmClass, opaqueField, type OxmValue, tlvHeader } from './field.js';
import type { Match, Oxm } from './oxm.js';
import { experimenterField, fieldByCode } from './registry.js';

/** Header, experimenter id, value and mask of the longest field with a fixed length. */
const LONGEST_FIXED = 4 + 4 + 2 * 16;
const MATCH_TYPE_OXM = 1;

function putValue(view: DataView, offset: number, bytes: number, value: OxmValue): number {
  switch (bytes) {
    case 1:
      view.setUint8(offset, value as number);
      break;
    case 2:
      view.setUint16(offset, value as number);
      break;
    case 3:
      view.setUint8(offset, (value as number) >>> 16);
      view.setUint16(offset + 1, value as number);
      break;
    case 4:
      view.setUint32(offset, value as number);
      break;
    case 6:
      view.setUint16(offset, (value as number) / 0x100000000);
      view.setUint32(offset + 2, value as number);
      break;
    case 8:
      view.setBigUint64(offset, value as bigint);
      break;
    default:
      view.setBigUint64(offset, (value as bigint) >> 64n);
      view.setBigUint64(offset + 8, value as bigint);
      break;
  }
  return offset + bytes;
}

function getValue(view: DataView, offset: number, bytes: number): OxmValue {
  switch (bytes) {
    case 1:
      return view.getUint8(offset);
    case 2:
      return view.getUint16(offset);
    case 3:
      return view.getUint8(offset) * 0x10000 + view.getUint16(offset + 1);
    case 4:
      return view.getUint32(offset);
    case 6:
      return view.getUint16(offset) * 0x100000000 + view.getUint32(offset + 2);
    case 8:
      return view.getBigUint64(offset);
    default:
      return (view.getBigUint64(offset) << 64n) | view.getBigUint64(offset + 8);
  }
}

/** Appends one TLV, without padding. */
export function writeOxm(writer: Writer, oxm: Oxm): void {
  const { field, value, mask } = oxm;
  if (field.bytes === 0) {
    writeVariable(writer, field, value as Uint8Array, mask as Uint8Array | undefined);
    return;
  }
  writer.reserve(LONGEST_FIXED);
  const { view } = writer;
  let { offset } = writer;
  view.setInt32(offset, mask === undefined ? field.header : field.maskedHeader);
  offset += 4;
  if (field.experimenter !== undefined) {
    view.setUint32(offset, field.experimenter);
    offset += 4;
  }
  offset = putValue(view, offset, field.bytes, value);
  if (mask !== undefined) offset = putValue(view, offset, field.bytes, mask);
  writer.offset = offset;
}

function writeVariable(writer: Writer, field: Field, value: Uint8Array, mask: Uint8Array | undefined): void {
  const length = value.length + (mask?.length ?? 0);
  if (length > 0xff || (mask !== undefined && mask.length !== value.length)) {
    throw new RangeError(
      `value of ${field.name}: ${value.length} bytes and a mask of ${mask?.length ?? 0}; ` +
        'both must be equally long and at most 255 together',
    );
  }
  writer.u32(tlvHeader(field.class, field.number, field.hasMask ?? mask !== undefined, length) >>> 0);
  writer.raw(value);
  if (mask !== undefined) writer.raw(mask);
}

/** Appends the TLVs one after the other, without padding. */
export function writeOxms(writer: Writer, match: Match): void {
  for (const oxm of match) writeOxm(writer, oxm);
}

/** Appends an `ofp_match` with its padding. */
export function writeMatch(writer: Writer, match: Match): void {
  const start = writer.offset;
  writer.reserve(4);
  writer.view.setUint16(start, MATCH_TYPE_OXM);
  writer.offset = start + 4;
  for (const oxm of match) writeOxm(writer, oxm);
  writer.patchLength(start + 2, start);
  writer.pad8(start);
}

function badMatch(code: number, offset: number, reason: string): never {
  throw new Malformed(ErrorType.BAD_MATCH, code, offset, reason);
}

/** Reads one TLV that must end at or before `end`. */
export function readOxm(reader: Reader, end: number): Oxm {
  const { view, offset } = reader;
  if (offset + 4 > end)
    badMatch(BadMatchCode.BAD_LEN, offset, `an OXM needs 4 bytes where ${end - offset} are left`);
  const oxmClass = view.getUint16(offset);
  const fieldAndMask = view.getUint8(offset + 2);
  const length = view.getUint8(offset + 3);
  let payload = offset + 4;
  const tlvEnd = payload + length;
  if (tlvEnd > end) {
    badMatch(BadMatchCode.BAD_LEN, offset, `an OXM of ${length} bytes where ${end - payload} are left`);
  }
  const hasMask = (fieldAndMask & 1) !== 0;
  let field: Field | undefined;
  let experimenter: number | undefined;
  if (oxmClass === OxmClass.EXPERIMENTER) {
    if (length >= 4) {
      experimenter = view.getUint32(payload);
      field = experimenterField(experimenter, fieldAndMask >>> 1);
      if (field !== undefined) payload += 4;
    }
  } else {
    field = fieldByCode(oxmClass, fieldAndMask >>> 1);
  }
  reader.offset = tlvEnd;
  // A mask where there can be none: whoever looks for the field must not take its value for an exact one.
  if (field === undefined || (hasMask && !field.maskable)) {
    field = internOpaque(oxmClass, fieldAndMask >>> 1, hasMask, experimenter);
    return { field, value: reader.bytes.slice(offset + 4, tlvEnd), mask: undefined };
  }
  const { bytes } = field;
  const size = tlvEnd - payload;
  if (bytes === 0) return readVariable(reader, field, payload, tlvEnd, hasMask);
  if (size !== (hasMask ? 2 * bytes : bytes)) {
    badMatch(BadMatchCode.BAD_LEN, offset, `${field.name} takes ${bytes} bytes, mask apart; it has ${size}`);
  }
  return {
    field,
    value: getValue(view, payload, bytes),
    mask: hasMask ? getValue(view, payload + bytes, bytes) : undefined,
  };
}

function readVariable(reader: Reader, field: Field, payload: number, tlvEnd: number, hasMask: boolean): Oxm {
  if (!hasMask) return { field, value: reader.bytes.slice(payload, tlvEnd), mask: undefined };
  const half = (tlvEnd - payload) / 2;
  if (!Number.isInteger(half)) {
    badMatch(BadMatchCode.BAD_LEN, payload, `${field.name}: value and mask are not equally long`);
  }
  const middle = payload + half;
  return { field, value: reader.bytes.slice(payload, middle), mask: reader.bytes.slice(middle, tlvEnd) };
}

/** Descriptors of unknown fields by what they are, so that equal ones are the same object. Bounded: peers choose them. */
const OPAQUE_FIELDS = new Map<string, Field<Uint8Array>>();
const MAX_OPAQUE_FIELDS = 1024;

export function internOpaque(
  oxmClass: number,
  number: number,
  hasMask: boolean,
  experimenter: number | undefined,
): Field<Uint8Array> {
  const key = `${oxmClass}/${number}/${hasMask}/${experimenter}`;
  const known = OPAQUE_FIELDS.get(key);
  if (known !== undefined) return known;
  const field = opaqueField(oxmClass, number, hasMask, experimenter);
  if (OPAQUE_FIELDS.size < MAX_OPAQUE_FIELDS) OPAQUE_FIELDS.set(key, field);
  return field;
}

/** Reads TLVs up to `end`. */
export function readOxms(reader: Reader, end: number): Oxm[] {
  const match: Oxm[] = [];
  while (reader.offset < end) match.push(readOxm(reader, end));
  return match;
}

/** Reads an `ofp_match` with its padding; all of it must lie before `end`. */
export function readMatch(reader: Reader, end: number): Oxm[] {
  const start = reader.offset;
  reader.need(8, end, 'match');
  const type = reader.u16();
  const length = reader.u16();
  if (type !== MATCH_TYPE_OXM)
    badMatch(BadMatchCode.BAD_TYPE, start, `match type ${type}; only OXM (1) is known`);
  const next = start + ((length + 7) & ~7);
  if (length < 4 || next > end) {
    badMatch(BadMatchCode.BAD_LEN, start, `a match of ${length} bytes where ${end - start} are left`);
  }
  const match = readOxms(reader, start + length);
  reader.offset = next;
  return match;
}
