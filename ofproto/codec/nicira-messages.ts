/** Messages of Nicira (Open vSwitch), by subtype. */
import { type AnyMessageCodec, bareMessage, messageCodec } from './message-codec.js';
import { readCtFlush, writeCtFlush } from './ct-flush.js';
import { readPacketIn2, writePacketIn2 } from './packet-in2.js';
import type { TlvMapping } from '../structures.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';

function writeTlvMappings(writer: Writer, mappings: readonly TlvMapping[]): void {
  for (const mapping of mappings) {
    writer.u16(mapping.optionClass);
    writer.u8(mapping.optionType);
    writer.u8(mapping.optionLength);
    writer.u16(mapping.index);
    writer.skip(2);
  }
}

function readTlvMappings(reader: Reader, end: number): TlvMapping[] {
  const mappings: TlvMapping[] = [];
  while (reader.offset < end) {
    reader.need(8, end, 'TLV mapping');
    mappings.push({
      optionClass: reader.u16(),
      optionType: reader.u8(),
      optionLength: reader.u8(),
      index: reader.u16(),
    });
    reader.offset += 2;
  }
  return mappings;
}

export const NICIRA_MESSAGES: readonly AnyMessageCodec[] = [
  messageCodec<'nx_set_packet_in_format'>({
    type: 'nx_set_packet_in_format',
    number: 16,
    minimum: 4,
    write: (writer, message) => writer.u32(message.format),
    read: (reader, _end, xid) => ({ type: 'nx_set_packet_in_format', xid, format: reader.u32() }),
  }),
  messageCodec<'nx_set_controller_id'>({
    type: 'nx_set_controller_id',
    number: 20,
    minimum: 8,
    write(writer, message) {
      writer.skip(6);
      writer.u16(message.controllerId);
    },
    read(reader, _end, xid) {
      reader.offset += 6;
      return { type: 'nx_set_controller_id', xid, controllerId: reader.u16() };
    },
  }),
  messageCodec<'nx_tlv_table_mod'>({
    type: 'nx_tlv_table_mod',
    number: 24,
    minimum: 8,
    write(writer, message) {
      writer.u16(message.command);
      writer.skip(6);
      writeTlvMappings(writer, message.mappings);
    },
    read(reader, end, xid) {
      const command = reader.u16();
      reader.offset += 6;
      return { type: 'nx_tlv_table_mod', xid, command, mappings: readTlvMappings(reader, end) };
    },
  }),
  bareMessage('nx_tlv_table_request', 25),
  messageCodec<'nx_tlv_table_reply'>({
    type: 'nx_tlv_table_reply',
    number: 26,
    minimum: 16,
    write(writer, message) {
      writer.u32(message.maxOptionSpace);
      writer.u16(message.maxFields);
      writer.skip(10);
      writeTlvMappings(writer, message.mappings);
    },
    read(reader, end, xid) {
      const maxOptionSpace = reader.u32();
      const maxFields = reader.u16();
      reader.offset += 10;
      return {
        type: 'nx_tlv_table_reply',
        xid,
        maxOptionSpace,
        maxFields,
        mappings: readTlvMappings(reader, end),
      };
    },
  }),
  messageCodec<'nx_resume'>({
    type: 'nx_resume',
    number: 28,
    minimum: 0,
    write: writePacketIn2,
    read: (reader, end, xid) => ({ type: 'nx_resume', xid, ...readPacketIn2(reader, end) }),
  }),
  messageCodec<'nx_ct_flush_zone'>({
    type: 'nx_ct_flush_zone',
    number: 29,
    minimum: 8,
    write(writer, message) {
      writer.skip(6);
      writer.u16(message.zone);
    },
    read(reader, _end, xid) {
      reader.offset += 6;
      return { type: 'nx_ct_flush_zone', xid, zone: reader.u16() };
    },
  }),
  messageCodec<'nx_packet_in2'>({
    type: 'nx_packet_in2',
    number: 30,
    minimum: 0,
    write: writePacketIn2,
    read: (reader, end, xid) => ({ type: 'nx_packet_in2', xid, ...readPacketIn2(reader, end) }),
  }),
  messageCodec<'nx_ct_flush'>({
    type: 'nx_ct_flush',
    number: 32,
    minimum: 8,
    write: writeCtFlush,
    read: readCtFlush,
  }),
];
