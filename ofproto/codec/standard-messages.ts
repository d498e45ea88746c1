/** The messages of OpenFlow 1.3.5 (section 7): one row per type. */
import type { Hello } from '../messages.js';
import type { MultipartReply, MultipartRequest } from '../multipart.js';
import { BadActionCode, ErrorType } from '../errors.js';
import { readMatch, writeMatch } from '../oxm/codec.js';
import { Malformed, type Reader } from '../wire/reader.js';
import { readActions, writeActions } from './actions.js';
import { readFlowMod, writeFlowMod } from './flow-mod.js';
import {
  readBands,
  readBuckets,
  readQueues,
  writeBands,
  writeBuckets,
  writeQueues,
} from './groups-and-meters.js';
import { readHello, writeHello } from './hello.js';
import { type AnyMessageCodec, bareMessage, messageCodec } from './message-codec.js';
import { readMultipart, writeMultipart } from './multipart.js';
import { readPort, writePort } from './ports.js';
import type { AsyncConfig } from '../messages.js';

const EXPERIMENTER_ERROR = 0xffff;

const configMessage = (type: 'get_config_reply' | 'set_config', number: number): AnyMessageCodec =>
  messageCodec<typeof type>({
    type,
    number,
    minimum: 4,
    write(writer, message) {
      writer.u16(message.flags);
      writer.u16(message.missSendLength);
    },
    read: (reader, _end, xid) => ({ type, xid, flags: reader.u16(), missSendLength: reader.u16() }),
  });

const echoMessage = (type: 'echo_request' | 'echo_reply', number: number): AnyMessageCodec =>
  messageCodec<typeof type>({
    type,
    number,
    minimum: 0,
    write: (writer, message) => writer.raw(message.data),
    read: (reader, end, xid) => ({ type, xid, data: reader.rest(end) }),
  });

const roleMessage = (type: 'role_request' | 'role_reply', number: number): AnyMessageCodec =>
  messageCodec<typeof type>({
    type,
    number,
    minimum: 16,
    write(writer, message) {
      writer.u32(message.role);
      writer.skip(4);
      writer.u64(message.generationId);
    },
    read(reader, _end, xid) {
      const role = reader.u32();
      reader.offset += 4;
      return { type, xid, role, generationId: reader.u64() };
    },
  });

function readAsync(reader: Reader): AsyncConfig {
  const masks = (): { master: number; slave: number } => ({ master: reader.u32(), slave: reader.u32() });
  return { packetIn: masks(), portStatus: masks(), flowRemoved: masks() };
}

const asyncMessage = (type: 'get_async_reply' | 'set_async', number: number): AnyMessageCodec =>
  messageCodec<typeof type>({
    type,
    number,
    minimum: 24,
    write(writer, message) {
      for (const masks of [message.packetIn, message.portStatus, message.flowRemoved]) {
        writer.u32(masks.master);
        writer.u32(masks.slave);
      }
    },
    read: (reader, _end, xid) => ({ type, xid, ...readAsync(reader) }),
  });

const multipartMessage = (type: 'multipart_request' | 'multipart_reply', number: number): AnyMessageCodec =>
  messageCodec<typeof type>({
    type,
    number,
    minimum: 8,
    write: writeMultipart,
    // Sound because readMultipart gives the kind that it is asked for.
    read: (reader, end, xid) => readMultipart(reader, end, type, xid) as MultipartRequest & MultipartReply,
  });

export const STANDARD_MESSAGES: readonly AnyMessageCodec[] = [
  messageCodec<'hello'>({
    type: 'hello',
    number: 0,
    minimum: 0,
    write: writeHello,
    read: (reader, end, xid): Hello => readHello(reader, end, xid),
  }),
  messageCodec<'error'>({
    type: 'error',
    number: 1,
    minimum: 4,
    write(writer, message) {
      writer.u16(message.errorType);
      writer.u16(message.code);
      if (message.errorType === EXPERIMENTER_ERROR) writer.u32(message.experimenter ?? 0);
      writer.raw(message.data);
    },
    read(reader, end, xid) {
      const errorType = reader.u16();
      const code = reader.u16();
      if (errorType !== EXPERIMENTER_ERROR)
        return { type: 'error', xid, errorType, code, data: reader.rest(end) };
      reader.need(4, end, 'experimenter error');
      const experimenter = reader.u32();
      return { type: 'error', xid, errorType, code, experimenter, data: reader.rest(end) };
    },
  }),
  echoMessage('echo_request', 2),
  echoMessage('echo_reply', 3),
  bareMessage('features_request', 5),
  messageCodec<'features_reply'>({
    type: 'features_reply',
    number: 6,
    minimum: 24,
    write(writer, message) {
      writer.u64(message.datapathId);
      writer.u32(message.buffers);
      writer.u8(message.tables);
      writer.u8(message.auxiliaryId);
      writer.skip(2);
      writer.u32(message.capabilities);
      writer.skip(4);
    },
    read(reader, _end, xid) {
      const datapathId = reader.u64();
      const buffers = reader.u32();
      const tables = reader.u8();
      const auxiliaryId = reader.u8();
      reader.offset += 2;
      const capabilities = reader.u32();
      return { type: 'features_reply', xid, datapathId, buffers, tables, auxiliaryId, capabilities };
    },
  }),
  bareMessage('get_config_request', 7),
  configMessage('get_config_reply', 8),
  configMessage('set_config', 9),
  messageCodec<'packet_in'>({
    type: 'packet_in',
    number: 10,
    minimum: 26,
    write(writer, message) {
      writer.u32(message.bufferId);
      writer.u16(message.totalLength);
      writer.u8(message.reason);
      writer.u8(message.tableId);
      writer.u64(message.cookie);
      writeMatch(writer, message.match);
      writer.skip(2);
      writer.raw(message.data);
    },
    read(reader, end, xid) {
      const { view, offset } = reader;
      reader.offset = offset + 16;
      const match = readMatch(reader, end);
      reader.need(2, end, 'packet-in padding');
      reader.offset += 2;
      return {
        type: 'packet_in',
        xid,
        bufferId: view.getUint32(offset),
        totalLength: view.getUint16(offset + 4),
        reason: view.getUint8(offset + 6),
        tableId: view.getUint8(offset + 7),
        cookie: view.getBigUint64(offset + 8),
        match,
        data: reader.rest(end),
      };
    },
  }),
  messageCodec<'flow_removed'>({
    type: 'flow_removed',
    number: 11,
    minimum: 48,
    write(writer, message) {
      writer.u64(message.cookie);
      writer.u16(message.priority);
      writer.u8(message.reason);
      writer.u8(message.tableId);
      writer.u32(message.durationSec);
      writer.u32(message.durationNsec);
      writer.u16(message.idleTimeout);
      writer.u16(message.hardTimeout);
      writer.u64(message.packetCount);
      writer.u64(message.byteCount);
      writeMatch(writer, message.match);
    },
    read: (reader, end, xid) => ({
      type: 'flow_removed',
      xid,
      cookie: reader.u64(),
      priority: reader.u16(),
      reason: reader.u8(),
      tableId: reader.u8(),
      durationSec: reader.u32(),
      durationNsec: reader.u32(),
      idleTimeout: reader.u16(),
      hardTimeout: reader.u16(),
      packetCount: reader.u64(),
      byteCount: reader.u64(),
      match: readMatch(reader, end),
    }),
  }),
  messageCodec<'port_status'>({
    type: 'port_status',
    number: 12,
    minimum: 72,
    write(writer, message) {
      writer.u8(message.reason);
      writer.skip(7);
      writePort(writer, message.port);
    },
    read(reader, end, xid) {
      const reason = reader.u8();
      reader.offset += 7;
      return { type: 'port_status', xid, reason, port: readPort(reader, end) };
    },
  }),
  messageCodec<'packet_out'>({
    type: 'packet_out',
    number: 13,
    minimum: 16,
    write(writer, message) {
      writer.u32(message.bufferId);
      writer.u32(message.inPort);
      const lengthAt = writer.offset;
      writer.skip(8);
      const start = writer.offset;
      writeActions(writer, message.actions);
      writer.patchLength(lengthAt, start);
      writer.raw(message.data);
    },
    read(reader, end, xid) {
      const bufferId = reader.u32();
      const inPort = reader.u32();
      const actionsEnd = reader.offset + 8 + reader.u16();
      reader.offset += 6;
      if (actionsEnd > end) {
        throw new Malformed(
          ErrorType.BAD_ACTION,
          BadActionCode.BAD_LEN,
          reader.offset,
          `actions_len passes the end of the packet-out by ${actionsEnd - end} bytes`,
        );
      }
      const actions = readActions(reader, actionsEnd);
      return { type: 'packet_out', xid, bufferId, inPort, actions, data: reader.rest(end) };
    },
  }),
  messageCodec<'flow_mod'>({
    type: 'flow_mod',
    number: 14,
    minimum: 48,
    write: writeFlowMod,
    read: readFlowMod,
  }),
  messageCodec<'group_mod'>({
    type: 'group_mod',
    number: 15,
    minimum: 8,
    write(writer, message) {
      writer.u16(message.command);
      writer.u8(message.groupType);
      writer.skip(1);
      writer.u32(message.groupId);
      writeBuckets(writer, message.buckets);
    },
    read(reader, end, xid) {
      const command = reader.u16();
      const groupType = reader.u8();
      reader.offset += 1;
      const groupId = reader.u32();
      return { type: 'group_mod', xid, command, groupType, groupId, buckets: readBuckets(reader, end) };
    },
  }),
  messageCodec<'port_mod'>({
    type: 'port_mod',
    number: 16,
    minimum: 32,
    write(writer, message) {
      writer.u32(message.portNo);
      writer.skip(4);
      writer.u48(message.hardwareAddress);
      writer.skip(2);
      writer.u32(message.config);
      writer.u32(message.mask);
      writer.u32(message.advertise);
      writer.skip(4);
    },
    read(reader, _end, xid) {
      const portNo = reader.u32();
      reader.offset += 4;
      const hardwareAddress = reader.u48();
      reader.offset += 2;
      const config = reader.u32();
      return {
        type: 'port_mod',
        xid,
        portNo,
        hardwareAddress,
        config,
        mask: reader.u32(),
        advertise: reader.u32(),
      };
    },
  }),
  messageCodec<'table_mod'>({
    type: 'table_mod',
    number: 17,
    minimum: 8,
    write(writer, message) {
      writer.u8(message.tableId);
      writer.skip(3);
      writer.u32(message.config);
    },
    read(reader, _end, xid) {
      const tableId = reader.u8();
      reader.offset += 3;
      return { type: 'table_mod', xid, tableId, config: reader.u32() };
    },
  }),
  multipartMessage('multipart_request', 18),
  multipartMessage('multipart_reply', 19),
  bareMessage('barrier_request', 20),
  bareMessage('barrier_reply', 21),
  messageCodec<'queue_get_config_request'>({
    type: 'queue_get_config_request',
    number: 22,
    minimum: 8,
    write(writer, message) {
      writer.u32(message.port);
      writer.skip(4);
    },
    read: (reader, _end, xid) => ({ type: 'queue_get_config_request', xid, port: reader.u32() }),
  }),
  messageCodec<'queue_get_config_reply'>({
    type: 'queue_get_config_reply',
    number: 23,
    minimum: 8,
    write(writer, message) {
      writer.u32(message.port);
      writer.skip(4);
      writeQueues(writer, message.queues);
    },
    read(reader, end, xid) {
      const port = reader.u32();
      reader.offset += 4;
      return { type: 'queue_get_config_reply', xid, port, queues: readQueues(reader, end) };
    },
  }),
  roleMessage('role_request', 24),
  roleMessage('role_reply', 25),
  bareMessage('get_async_request', 26),
  asyncMessage('get_async_reply', 27),
  asyncMessage('set_async', 28),
  messageCodec<'meter_mod'>({
    type: 'meter_mod',
    number: 29,
    minimum: 8,
    write(writer, message) {
      writer.u16(message.command);
      writer.u16(message.flags);
      writer.u32(message.meterId);
      writeBands(writer, message.bands);
    },
    read(reader, end, xid) {
      const command = reader.u16();
      const flags = reader.u16();
      const meterId = reader.u32();
      return { type: 'meter_mod', xid, command, flags, meterId, bands: readBands(reader, end) };
    },
  }),
];
