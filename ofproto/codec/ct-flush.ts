/** NXT_CT_FLUSH: protocol, zone and the tuples of the connection as nested properties. */
import type { NxCtFlush } from '../messages.js';
import type { CtTuple, UnknownProperty } from '../structures.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import {
  bytesProperty,
  property,
  readProperties,
  U16_LENGTH,
  u16Property,
  u8Property,
} from './properties.js';

const PROPERTY = { ORIGINAL_TUPLE: 0, REPLY_TUPLE: 1, ZONE: 2 } as const;
const TUPLE = { SRC: 0, DST: 1, SRC_PORT: 2, DST_PORT: 3, ICMP_ID: 4, ICMP_TYPE: 5, ICMP_CODE: 6 } as const;

export function writeCtFlush(writer: Writer, message: NxCtFlush): void {
  writer.u8(message.ipProto);
  writer.skip(7);
  if (message.original !== undefined) writeTuple(writer, PROPERTY.ORIGINAL_TUPLE, message.original);
  if (message.reply !== undefined) writeTuple(writer, PROPERTY.REPLY_TUPLE, message.reply);
  if (message.zone !== undefined) u16Property(writer, PROPERTY.ZONE, message.zone);
  writeUnknown(writer, message.unknown);
}

function writeUnknown(writer: Writer, properties: readonly UnknownProperty[] | undefined): void {
  for (const { number, data } of properties ?? []) bytesProperty(writer, number, data);
}

function writeTuple(writer: Writer, number: number, tuple: CtTuple): void {
  property(writer, number, () => {
    writer.skip(4);
    const { src, dst } = tuple;
    if (src !== undefined) property(writer, TUPLE.SRC, () => writer.u128(src));
    if (dst !== undefined) property(writer, TUPLE.DST, () => writer.u128(dst));
    if (tuple.srcPort !== undefined) u16Property(writer, TUPLE.SRC_PORT, tuple.srcPort);
    if (tuple.dstPort !== undefined) u16Property(writer, TUPLE.DST_PORT, tuple.dstPort);
    if (tuple.icmpId !== undefined) u16Property(writer, TUPLE.ICMP_ID, tuple.icmpId);
    if (tuple.icmpType !== undefined) u8Property(writer, TUPLE.ICMP_TYPE, tuple.icmpType);
    if (tuple.icmpCode !== undefined) u8Property(writer, TUPLE.ICMP_CODE, tuple.icmpCode);
    writeUnknown(writer, tuple.unknown);
  });
}

type Flush = { -readonly [K in keyof NxCtFlush]: NxCtFlush[K] };

export function readCtFlush(reader: Reader, end: number, xid: number): NxCtFlush {
  const flush: Flush = { type: 'nx_ct_flush', xid, ipProto: reader.u8() };
  reader.offset += 7;
  const unknown: UnknownProperty[] = [];
  readProperties(reader, end, (number, length, valueEnd) => {
    if (number === PROPERTY.ORIGINAL_TUPLE && length >= 4) flush.original = readTuple(reader, valueEnd);
    else if (number === PROPERTY.REPLY_TUPLE && length >= 4) flush.reply = readTuple(reader, valueEnd);
    else if (number === PROPERTY.ZONE && length === U16_LENGTH) flush.zone = reader.u16();
    else unknown.push({ number, data: reader.take(length) });
    return true;
  });
  if (unknown.length > 0) flush.unknown = unknown;
  return flush;
}

type Tuple = { -readonly [K in keyof CtTuple]: CtTuple[K] };

function readTuple(reader: Reader, end: number): CtTuple {
  const tuple: Tuple = {};
  const unknown: UnknownProperty[] = [];
  reader.offset += 4;
  readProperties(reader, end, (number, length) => {
    if (number === TUPLE.SRC && length === 16) tuple.src = reader.u128();
    else if (number === TUPLE.DST && length === 16) tuple.dst = reader.u128();
    else if (number === TUPLE.SRC_PORT && length === U16_LENGTH) tuple.srcPort = reader.u16();
    else if (number === TUPLE.DST_PORT && length === U16_LENGTH) tuple.dstPort = reader.u16();
    else if (number === TUPLE.ICMP_ID && length === U16_LENGTH) tuple.icmpId = reader.u16();
    else if (number === TUPLE.ICMP_TYPE && length === 1) tuple.icmpType = reader.u8();
    else if (number === TUPLE.ICMP_CODE && length === 1) tuple.icmpCode = reader.u8();
    else unknown.push({ number, data: reader.take(length) });
    return true;
  });
  if (unknown.length > 0) tuple.unknown = unknown;
  return tuple;
}
