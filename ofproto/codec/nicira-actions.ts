/** Nicira's actions without actions inside (ovs-actions(7)). Lengths are those of the whole action. */
import { Port } from '../constants.js';
import { readOxm, writeOxm } from '../oxm/codec.js';
import {
  type AnyActionCodec,
  actionCodec,
  bareAction,
  packBits,
  portFrom16,
  portTo16,
  readFieldHeader,
  subfield,
  unpackBits,
  unpackOffset,
  writeFieldHeader,
  writeShortFieldHeader,
} from './action-codec.js';
import { readController2Properties, writeController2Properties } from './controller2.js';
import { readLearnSpecs, writeLearnSpecs } from './learn.js';

const PRESENT = { IPV4_MIN: 1, IPV4_MAX: 2, IPV6_MIN: 4, IPV6_MAX: 8, PORT_MIN: 16, PORT_MAX: 32 } as const;

/** NXAST_RESUBMIT (1): the form of `resubmit` without a table. */
export const RESUBMIT_TO_PORT = 1;

export const NICIRA_ACTIONS: readonly AnyActionCodec[] = [
  actionCodec<'resubmit'>({
    type: 'resubmit',
    number: 14,
    length: 16,
    write(writer, action) {
      writer.u16(portTo16(action.port ?? Port.IN_PORT));
      writer.u8(action.table ?? 0);
    },
    read(reader) {
      const port = portFrom16(reader.u16());
      const table = reader.u8();
      return port === Port.IN_PORT ? { type: 'resubmit', table } : { type: 'resubmit', port, table };
    },
  }),
  actionCodec<'resubmit_ct'>({
    type: 'resubmit_ct',
    number: 44,
    length: 16,
    write(writer, action) {
      writer.u16(portTo16(action.port ?? Port.IN_PORT));
      writer.u8(action.table ?? 0xff);
    },
    read(reader) {
      const port = portFrom16(reader.u16());
      const table = reader.u8();
      return port === Port.IN_PORT ? { type: 'resubmit_ct', table } : { type: 'resubmit_ct', port, table };
    },
  }),
  actionCodec<'reg_move'>({
    type: 'reg_move',
    number: 6,
    length: 0,
    write(writer, action) {
      writer.u16(action.bits);
      writer.u16(action.srcOffset);
      writer.u16(action.dstOffset);
      writeFieldHeader(writer, action.src);
      writeFieldHeader(writer, action.dst);
    },
    read(reader, end) {
      if (reader.offset + 6 > end) return undefined;
      const bits = reader.u16();
      const srcOffset = reader.u16();
      const dstOffset = reader.u16();
      const src = readFieldHeader(reader, end);
      const dst = src && readFieldHeader(reader, end);
      return src && dst && { type: 'reg_move', src, srcOffset, dst, dstOffset, bits };
    },
  }),
  actionCodec<'reg_load'>({
    type: 'reg_load',
    number: 7,
    length: 24,
    write(writer, action) {
      writer.u16(packBits(action.offset, action.bits));
      writeShortFieldHeader(writer, action.dst, 'reg_load2');
      writer.u64(action.value);
    },
    read(reader, end) {
      const packed = reader.u16();
      const dst = readFieldHeader(reader, end);
      if (dst === undefined || dst.experimenter !== undefined) return undefined;
      return {
        type: 'reg_load',
        dst,
        offset: unpackOffset(packed),
        bits: unpackBits(packed),
        value: reader.u64(),
      };
    },
  }),
  actionCodec<'reg_load2'>({
    type: 'reg_load2',
    number: 33,
    length: 0,
    write(writer, action) {
      writeOxm(writer, action.oxm);
    },
    read(reader, end) {
      return { type: 'reg_load2', oxm: readOxm(reader, end) };
    },
  }),
  actionCodec<'output_reg'>({
    type: 'output_reg',
    number: 15,
    length: 24,
    write(writer, action) {
      writer.u16(packBits(action.offset, action.bits));
      writeShortFieldHeader(writer, action.src, 'reg_move to a register first');
      writer.u16(action.maxLen);
    },
    read(reader, end) {
      const packed = reader.u16();
      const src = readFieldHeader(reader, end);
      if (src === undefined || src.experimenter !== undefined) return undefined;
      const maxLen = reader.u16();
      return { type: 'output_reg', src, offset: unpackOffset(packed), bits: unpackBits(packed), maxLen };
    },
  }),
  actionCodec<'output_trunc'>({
    type: 'output_trunc',
    number: 39,
    length: 16,
    write(writer, action) {
      writer.u16(portTo16(action.port));
      writer.u32(action.maxLen);
    },
    read: (reader) => ({ type: 'output_trunc', port: portFrom16(reader.u16()), maxLen: reader.u32() }),
  }),
  actionCodec<'learn'>({
    type: 'learn',
    number: 16,
    length: 0,
    write(writer, action) {
      writer.u16(action.idleTimeout);
      writer.u16(action.hardTimeout);
      writer.u16(action.priority);
      writer.u64(action.cookie);
      writer.u16(action.flags);
      writer.u8(action.table);
      writer.skip(1);
      writer.u16(action.finIdleTimeout);
      writer.u16(action.finHardTimeout);
      writeLearnSpecs(writer, action.specs);
    },
    read(reader, end) {
      if (reader.offset + 22 > end) return undefined;
      const idleTimeout = reader.u16();
      const hardTimeout = reader.u16();
      const priority = reader.u16();
      const cookie = reader.u64();
      const flags = reader.u16();
      const table = reader.u8();
      reader.offset += 1;
      const finIdleTimeout = reader.u16();
      const finHardTimeout = reader.u16();
      const specs = readLearnSpecs(reader, end);
      return (
        specs && {
          type: 'learn',
          idleTimeout,
          hardTimeout,
          priority,
          cookie,
          flags,
          table,
          finIdleTimeout,
          finHardTimeout,
          specs,
        }
      );
    },
  }),
  actionCodec<'controller'>({
    type: 'controller',
    number: 20,
    length: 16,
    write(writer, action) {
      writer.u16(action.maxLen);
      writer.u16(action.controllerId);
      writer.u8(action.reason);
    },
    read: (reader) => ({
      type: 'controller',
      maxLen: reader.u16(),
      controllerId: reader.u16(),
      reason: reader.u8(),
    }),
  }),
  actionCodec<'controller2'>({
    type: 'controller2',
    number: 37,
    length: 0,
    write: writeController2Properties,
    read: readController2Properties,
  }),
  actionCodec<'conjunction'>({
    type: 'conjunction',
    number: 34,
    length: 16,
    write(writer, action) {
      writer.u8(action.clause - 1);
      writer.u8(action.clauses);
      writer.u32(action.id);
    },
    read: (reader) => {
      const clause = reader.u8() + 1;
      const clauses = reader.u8();
      return clause > 0xff ? undefined : { type: 'conjunction', id: reader.u32(), clause, clauses };
    },
  }),
  actionCodec<'nat'>({
    type: 'nat',
    number: 36,
    length: 0,
    write(writer, action) {
      const { ipv4Min, ipv4Max, ipv6Min, ipv6Max, portMin, portMax } = action;
      writer.skip(2);
      writer.u16(action.flags);
      writer.u16(
        (ipv4Min === undefined ? 0 : PRESENT.IPV4_MIN) |
          (ipv4Max === undefined ? 0 : PRESENT.IPV4_MAX) |
          (ipv6Min === undefined ? 0 : PRESENT.IPV6_MIN) |
          (ipv6Max === undefined ? 0 : PRESENT.IPV6_MAX) |
          (portMin === undefined ? 0 : PRESENT.PORT_MIN) |
          (portMax === undefined ? 0 : PRESENT.PORT_MAX),
      );
      if (ipv4Min !== undefined) writer.u32(ipv4Min);
      if (ipv4Max !== undefined) writer.u32(ipv4Max);
      if (ipv6Min !== undefined) writer.u128(ipv6Min);
      if (ipv6Max !== undefined) writer.u128(ipv6Max);
      if (portMin !== undefined) writer.u16(portMin);
      if (portMax !== undefined) writer.u16(portMax);
    },
    read(reader, end) {
      reader.offset += 2;
      const flags = reader.u16();
      const present = reader.u16();
      const has = (bit: number): boolean => (present & bit) !== 0;
      const size =
        (has(PRESENT.IPV4_MIN) ? 4 : 0) +
        (has(PRESENT.IPV4_MAX) ? 4 : 0) +
        (has(PRESENT.IPV6_MIN) ? 16 : 0) +
        (has(PRESENT.IPV6_MAX) ? 16 : 0) +
        (has(PRESENT.PORT_MIN) ? 2 : 0) +
        (has(PRESENT.PORT_MAX) ? 2 : 0);
      if (present > 0x3f || reader.offset + size > end) return undefined;
      return {
        type: 'nat',
        flags,
        ...(has(PRESENT.IPV4_MIN) ? { ipv4Min: reader.u32() } : {}),
        ...(has(PRESENT.IPV4_MAX) ? { ipv4Max: reader.u32() } : {}),
        ...(has(PRESENT.IPV6_MIN) ? { ipv6Min: reader.u128() } : {}),
        ...(has(PRESENT.IPV6_MAX) ? { ipv6Max: reader.u128() } : {}),
        ...(has(PRESENT.PORT_MIN) ? { portMin: reader.u16() } : {}),
        ...(has(PRESENT.PORT_MAX) ? { portMax: reader.u16() } : {}),
      };
    },
  }),
  bareAction('ct_clear', 43, 16),
  bareAction('dec_ttl', 18, 16),
  bareAction('pop_queue', 5, 16),
  bareAction('exit', 17, 16),
  actionCodec<'dec_ttl_cnt_ids'>({
    type: 'dec_ttl_cnt_ids',
    number: 21,
    length: 0,
    write(writer, action) {
      writer.length(action.controllerIds.length);
      writer.skip(4);
      for (const id of action.controllerIds) writer.u16(id);
    },
    read(reader, end) {
      const count = reader.u16();
      reader.offset += 4;
      if (reader.offset + 2 * count > end) return undefined;
      return { type: 'dec_ttl_cnt_ids', controllerIds: Array.from({ length: count }, () => reader.u16()) };
    },
  }),
  actionCodec<'note'>({
    type: 'note',
    number: 8,
    length: 0,
    write: (writer, action) => writer.raw(action.data),
    read: (reader, end) => ({ type: 'note', data: reader.rest(end) }),
  }),
  actionCodec<'nx_set_queue'>({
    type: 'nx_set_queue',
    number: 4,
    length: 16,
    write(writer, action) {
      writer.skip(2);
      writer.u32(action.queueId);
    },
    read(reader) {
      reader.offset += 2;
      return { type: 'nx_set_queue', queueId: reader.u32() };
    },
  }),
  actionCodec<'fin_timeout'>({
    type: 'fin_timeout',
    number: 19,
    length: 16,
    write(writer, action) {
      writer.u16(action.finIdleTimeout);
      writer.u16(action.finHardTimeout);
    },
    read: (reader) => ({ type: 'fin_timeout', finIdleTimeout: reader.u16(), finHardTimeout: reader.u16() }),
  }),
  actionCodec<'stack_push'>({
    type: 'stack_push',
    number: 27,
    length: 24,
    write(writer, { src }) {
      writer.u16(src.offset);
      writeFieldHeader(writer, src.field);
      writer.u16(src.bits);
    },
    read(reader, end) {
      const offset = reader.u16();
      const field = readFieldHeader(reader, end);
      return field && { type: 'stack_push', src: subfield(field, offset, reader.u16()) };
    },
  }),
  actionCodec<'stack_pop'>({
    type: 'stack_pop',
    number: 28,
    length: 24,
    write(writer, { dst }) {
      writer.u16(dst.offset);
      writeFieldHeader(writer, dst.field);
      writer.u16(dst.bits);
    },
    read(reader, end) {
      const offset = reader.u16();
      const field = readFieldHeader(reader, end);
      return field && { type: 'stack_pop', dst: subfield(field, offset, reader.u16()) };
    },
  }),
  actionCodec<'check_pkt_larger'>({
    type: 'check_pkt_larger',
    number: 49,
    length: 24,
    write(writer, action) {
      writer.u16(action.packetLength);
      writer.u16(action.dst.offset);
      writeFieldHeader(writer, action.dst.field);
    },
    read(reader, end) {
      const packetLength = reader.u16();
      const offset = reader.u16();
      const field = readFieldHeader(reader, end);
      return field && { type: 'check_pkt_larger', packetLength, dst: subfield(field, offset, 1) };
    },
  }),
  actionCodec<'delete_field'>({
    type: 'delete_field',
    number: 50,
    length: 24,
    write: (writer, action) => writeFieldHeader(writer, action.field),
    read(reader, end) {
      const field = readFieldHeader(reader, end);
      return field && { type: 'delete_field', field };
    },
  }),
];
