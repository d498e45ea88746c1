/** Properties of NXT_PACKET_IN2 and NXT_RESUME, in the order in which Open vSwitch writes them. */
import type { PacketIn2Properties } from '../messages.js';
import { readOxms, writeOxms } from '../oxm/codec.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import {
  bytesProperty,
  property,
  readProperties,
  u32Property,
  u64Property,
  u8Property,
} from './properties.js';

const PROPERTY = {
  PACKET: 0,
  FULL_LENGTH: 1,
  BUFFER_ID: 2,
  TABLE_ID: 3,
  COOKIE: 4,
  REASON: 5,
  METADATA: 6,
  USERDATA: 7,
  CONTINUATION: 8,
} as const;

export function writePacketIn2(writer: Writer, message: PacketIn2Properties): void {
  const { metadata } = message;
  if (message.packet !== undefined) bytesProperty(writer, PROPERTY.PACKET, message.packet);
  if (message.fullLength !== undefined) u32Property(writer, PROPERTY.FULL_LENGTH, message.fullLength);
  if (message.bufferId !== undefined) u32Property(writer, PROPERTY.BUFFER_ID, message.bufferId);
  if (message.tableId !== undefined) u8Property(writer, PROPERTY.TABLE_ID, message.tableId);
  if (message.cookie !== undefined) u64Property(writer, PROPERTY.COOKIE, message.cookie);
  if (message.reason !== undefined) u8Property(writer, PROPERTY.REASON, message.reason);
  if (metadata !== undefined) property(writer, PROPERTY.METADATA, () => writeOxms(writer, metadata));
  if (message.continuation !== undefined) bytesProperty(writer, PROPERTY.CONTINUATION, message.continuation);
  if (message.userdata !== undefined) bytesProperty(writer, PROPERTY.USERDATA, message.userdata);
  for (const { number, data } of message.unknown ?? []) bytesProperty(writer, number, data);
}

type Properties = { -readonly [K in keyof PacketIn2Properties]: PacketIn2Properties[K] };

/** Properties of unknown kind or unexpected length go into `unknown`. */
export function readPacketIn2(reader: Reader, end: number): PacketIn2Properties {
  const properties: Properties = {};
  const unknown: { number: number; data: Uint8Array }[] = [];
  readProperties(reader, end, (number, length, valueEnd) => {
    if (!readKnown(reader, properties, number, length, valueEnd))
      unknown.push({ number, data: reader.take(length) });
    return true;
  });
  return unknown.length === 0 ? properties : { ...properties, unknown };
}

function readKnown(
  reader: Reader,
  properties: Properties,
  number: number,
  length: number,
  valueEnd: number,
): boolean {
  switch (number) {
    case PROPERTY.PACKET:
      properties.packet = reader.take(length);
      return true;
    case PROPERTY.FULL_LENGTH:
      if (length !== 4) return false;
      properties.fullLength = reader.u32();
      return true;
    case PROPERTY.BUFFER_ID:
      if (length !== 4) return false;
      properties.bufferId = reader.u32();
      return true;
    case PROPERTY.TABLE_ID:
      if (length !== 1) return false;
      properties.tableId = reader.u8();
      return true;
    case PROPERTY.COOKIE:
      if (length !== 12) return false;
      reader.offset += 4;
      properties.cookie = reader.u64();
      return true;
    case PROPERTY.REASON:
      if (length !== 1) return false;
      properties.reason = reader.u8();
      return true;
    case PROPERTY.METADATA:
      properties.metadata = readOxms(reader, valueEnd);
      return true;
    case PROPERTY.USERDATA:
      properties.userdata = reader.take(length);
      return true;
    case PROPERTY.CONTINUATION:
      properties.continuation = reader.take(length);
      return true;
    default:
      return false;
  }
}
