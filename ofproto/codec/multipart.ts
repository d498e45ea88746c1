/** Bodies of multipart requests and replies (OpenFlow 1.3.5, section 7.3.5): one row per type. */
import type {
  FlowStatsRequest,
  MultipartReply,
  MultipartReplyBodies,
  MultipartRequest,
  MultipartRequestBodies,
  MultipartType,
} from '../multipart.js';
import { readMatch, writeMatch } from '../oxm/codec.js';
import { ONF_EXPERIMENTER } from '../oxm/extensions.js';
import type { GroupFeatures } from '../structures.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import {
  readFlowMonitorRequest,
  readFlowUpdate,
  writeFlowMonitorRequest,
  writeFlowUpdate,
} from './flow-monitor.js';
import { readPort, writePort } from './ports.js';
import * as statistics from './statistics.js';
import { readTableFeatures, writeTableFeatures } from './table-features.js';

interface BodyCodec<T> {
  write(writer: Writer, body: T): void;
  read(reader: Reader, end: number): T;
}

interface MultipartCodec<T extends MultipartType> {
  readonly number: number;
  readonly request: BodyCodec<MultipartRequestBodies[T]>;
  readonly reply: BodyCodec<MultipartReplyBodies[T]>;
}

const EXPERIMENTER = 0xffff;
const FLOW_MONITOR = 1870;

const NO_BODY: BodyCodec<null> = { write: () => undefined, read: () => null };

/** Records one after the other up to the end of the message. */
function listOf<T>(
  write: (writer: Writer, item: T) => void,
  read: (reader: Reader, end: number) => T,
): BodyCodec<readonly T[]> {
  return {
    write(writer, items) {
      for (const item of items) write(writer, item);
    },
    read(reader, end) {
      const items: T[] = [];
      while (reader.offset < end) items.push(read(reader, end));
      return items;
    },
  };
}

const FLOW_REQUEST: BodyCodec<FlowStatsRequest> = {
  write(writer, body) {
    writer.u8(body.tableId);
    writer.skip(3);
    writer.u32(body.outPort);
    writer.u32(body.outGroup);
    writer.skip(4);
    writer.u64(body.cookie);
    writer.u64(body.cookieMask);
    writeMatch(writer, body.match);
  },
  read(reader, end) {
    reader.need(32, end, 'flow statistics request');
    const tableId = reader.u8();
    reader.offset += 3;
    const outPort = reader.u32();
    const outGroup = reader.u32();
    reader.offset += 4;
    const cookie = reader.u64();
    const cookieMask = reader.u64();
    return { tableId, outPort, outGroup, cookie, cookieMask, match: readMatch(reader, end) };
  },
};

const METER_REQUEST: BodyCodec<{ readonly meterId: number }> = {
  write(writer, body) {
    writer.u32(body.meterId);
    writer.skip(4);
  },
  read(reader, end) {
    reader.need(8, end, 'meter request');
    return { meterId: reader.u32() };
  },
};

const TABLE_FEATURES = { write: writeTableFeatures, read: readTableFeatures };

const DESCRIPTION_LENGTH = 256;
const SERIAL_NUMBER_LENGTH = 32;

type Quad = GroupFeatures['actions'];
const readQuad = (reader: Reader): Quad => [reader.u32(), reader.u32(), reader.u32(), reader.u32()];

const EXPERIMENTER_BODY: BodyCodec<MultipartReplyBodies['experimenter']> = {
  write(writer, body) {
    writer.u32(body.experimenter);
    writer.u32(body.experimenterType);
    writer.raw(body.data);
  },
  read(reader, end) {
    reader.need(8, end, 'experimenter body');
    return { experimenter: reader.u32(), experimenterType: reader.u32(), data: reader.rest(end) };
  },
};

/** ONF's flow monitor travels in an experimenter body, whose head precedes the list. */
function onfList<T>(list: BodyCodec<T>): BodyCodec<T> {
  return {
    write(writer, body) {
      writer.u32(ONF_EXPERIMENTER);
      writer.u32(FLOW_MONITOR);
      list.write(writer, body);
    },
    read(reader, end) {
      reader.offset += 8;
      return list.read(reader, end);
    },
  };
}

const CODECS: { readonly [T in MultipartType]: MultipartCodec<T> } = {
  desc: {
    number: 0,
    request: NO_BODY,
    reply: {
      write(writer, body) {
        writer.text(body.manufacturer, DESCRIPTION_LENGTH);
        writer.text(body.hardware, DESCRIPTION_LENGTH);
        writer.text(body.software, DESCRIPTION_LENGTH);
        writer.text(body.serialNumber, SERIAL_NUMBER_LENGTH);
        writer.text(body.datapath, DESCRIPTION_LENGTH);
      },
      read(reader, end) {
        reader.need(4 * DESCRIPTION_LENGTH + SERIAL_NUMBER_LENGTH, end, 'switch description');
        return {
          manufacturer: reader.text(DESCRIPTION_LENGTH),
          hardware: reader.text(DESCRIPTION_LENGTH),
          software: reader.text(DESCRIPTION_LENGTH),
          serialNumber: reader.text(SERIAL_NUMBER_LENGTH),
          datapath: reader.text(DESCRIPTION_LENGTH),
        };
      },
    },
  },
  flow: {
    number: 1,
    request: FLOW_REQUEST,
    reply: listOf(statistics.writeFlowStats, statistics.readFlowStats),
  },
  aggregate: {
    number: 2,
    request: FLOW_REQUEST,
    reply: {
      write(writer, body) {
        writer.u64(body.packetCount);
        writer.u64(body.byteCount);
        writer.u32(body.flowCount);
        writer.skip(4);
      },
      read(reader, end) {
        reader.need(24, end, 'aggregate statistics');
        return { packetCount: reader.u64(), byteCount: reader.u64(), flowCount: reader.u32() };
      },
    },
  },
  table: {
    number: 3,
    request: NO_BODY,
    reply: listOf(statistics.writeTableStats, statistics.readTableStats),
  },
  port_stats: {
    number: 4,
    request: {
      write(writer, body) {
        writer.u32(body.portNo);
        writer.skip(4);
      },
      read(reader, end) {
        reader.need(8, end, 'port statistics request');
        return { portNo: reader.u32() };
      },
    },
    reply: listOf(statistics.writePortStats, statistics.readPortStats),
  },
  queue: {
    number: 5,
    request: {
      write(writer, body) {
        writer.u32(body.portNo);
        writer.u32(body.queueId);
      },
      read(reader, end) {
        reader.need(8, end, 'queue statistics request');
        return { portNo: reader.u32(), queueId: reader.u32() };
      },
    },
    reply: listOf(statistics.writeQueueStats, statistics.readQueueStats),
  },
  group: {
    number: 6,
    request: {
      write(writer, body) {
        writer.u32(body.groupId);
        writer.skip(4);
      },
      read(reader, end) {
        reader.need(8, end, 'group statistics request');
        return { groupId: reader.u32() };
      },
    },
    reply: listOf(statistics.writeGroupStats, statistics.readGroupStats),
  },
  group_desc: {
    number: 7,
    request: NO_BODY,
    reply: listOf(statistics.writeGroupDescription, statistics.readGroupDescription),
  },
  group_features: {
    number: 8,
    request: NO_BODY,
    reply: {
      write(writer, body) {
        writer.u32(body.types);
        writer.u32(body.capabilities);
        for (const max of body.maxGroups) writer.u32(max);
        for (const actions of body.actions) writer.u32(actions);
      },
      read(reader, end) {
        reader.need(40, end, 'group features');
        return {
          types: reader.u32(),
          capabilities: reader.u32(),
          maxGroups: readQuad(reader),
          actions: readQuad(reader),
        };
      },
    },
  },
  meter: {
    number: 9,
    request: METER_REQUEST,
    reply: listOf(statistics.writeMeterStats, statistics.readMeterStats),
  },
  meter_config: {
    number: 10,
    request: METER_REQUEST,
    reply: listOf(statistics.writeMeterConfig, statistics.readMeterConfig),
  },
  meter_features: {
    number: 11,
    request: NO_BODY,
    reply: {
      write(writer, body) {
        writer.u32(body.maxMeter);
        writer.u32(body.bandTypes);
        writer.u32(body.capabilities);
        writer.u8(body.maxBands);
        writer.u8(body.maxColor);
        writer.skip(2);
      },
      read(reader, end) {
        reader.need(16, end, 'meter features');
        return {
          maxMeter: reader.u32(),
          bandTypes: reader.u32(),
          capabilities: reader.u32(),
          maxBands: reader.u8(),
          maxColor: reader.u8(),
        };
      },
    },
  },
  table_features: { number: 12, request: TABLE_FEATURES, reply: TABLE_FEATURES },
  port_desc: { number: 13, request: NO_BODY, reply: listOf(writePort, readPort) },
  flow_monitor: {
    number: EXPERIMENTER,
    request: onfList(listOf(writeFlowMonitorRequest, readFlowMonitorRequest)),
    reply: onfList(listOf(writeFlowUpdate, readFlowUpdate)),
  },
  experimenter: { number: EXPERIMENTER, request: EXPERIMENTER_BODY, reply: EXPERIMENTER_BODY },
};

const TYPE_BY_NUMBER = new Map<number, MultipartType>(
  (Object.keys(CODECS) as MultipartType[]).map((type) => [CODECS[type].number, type]),
);

const MORE = 1;
const HEAD_LENGTH = 8;

/** Writes type, flags and body. */
export function writeMultipart(writer: Writer, message: MultipartRequest | MultipartReply): void {
  const { multipartType } = message;
  if (multipartType === 'opaque') {
    writer.u16(message.number);
    writer.u16(message.more ? MORE : 0);
    writer.skip(4);
    writer.raw(message.body);
    return;
  }
  const codec = CODECS[multipartType];
  writer.u16(codec.number);
  writer.u16(message.more ? MORE : 0);
  writer.skip(4);
  // Sound because the body of a message is that of its own multipart type.
  const body = (message.type === 'multipart_request' ? codec.request : codec.reply) as BodyCodec<unknown>;
  body.write(writer, message.body);
}

/** Reads type, flags and body of a request or reply whose header has been read. */
export function readMultipart(
  reader: Reader,
  end: number,
  type: 'multipart_request' | 'multipart_reply',
  xid: number,
): MultipartRequest | MultipartReply {
  reader.need(HEAD_LENGTH, end, type);
  const number = reader.u16();
  const more = (reader.u16() & MORE) !== 0;
  reader.offset += 4;
  const multipartType = typeOf(reader, end, number);
  if (multipartType === undefined) {
    return { type, xid, multipartType: 'opaque', number, more, body: reader.rest(end) };
  }
  const codec = CODECS[multipartType];
  const body = (type === 'multipart_request' ? codec.request : codec.reply) as BodyCodec<unknown>;
  return { type, xid, multipartType, more, body: body.read(reader, end) } as
    | MultipartRequest
    | MultipartReply;
}

function typeOf(reader: Reader, end: number, number: number): MultipartType | undefined {
  if (number !== EXPERIMENTER) return TYPE_BY_NUMBER.get(number);
  const { view, offset } = reader;
  const isFlowMonitor =
    offset + 8 <= end &&
    view.getUint32(offset) === ONF_EXPERIMENTER &&
    view.getUint32(offset + 4) === FLOW_MONITOR;
  return isFlowMonitor ? 'flow_monitor' : 'experimenter';
}
