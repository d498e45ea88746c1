/** The records of statistics replies (OpenFlow 1.3.5, sections 7.3.5.2 to 7.3.5.13). */
import { readMatch, writeMatch } from '../oxm/codec.js';
import type {
  FlowStats,
  GroupDescription,
  GroupStats,
  MeterConfig,
  MeterStats,
  PortStats,
  QueueStats,
  TableStats,
} from '../structures.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { readBands, readBuckets, writeBands, writeBuckets } from './groups-and-meters.js';
import { readInstructions, writeInstructions } from './instructions.js';

export function writeFlowStats(writer: Writer, flow: FlowStats): void {
  const start = writer.offset;
  writer.skip(2);
  writer.u8(flow.tableId);
  writer.skip(1);
  writer.u32(flow.durationSec);
  writer.u32(flow.durationNsec);
  writer.u16(flow.priority);
  writer.u16(flow.idleTimeout);
  writer.u16(flow.hardTimeout);
  writer.u16(flow.flags);
  writer.skip(4);
  writer.u64(flow.cookie);
  writer.u64(flow.packetCount);
  writer.u64(flow.byteCount);
  writeMatch(writer, flow.match);
  writeInstructions(writer, flow.instructions);
  writer.patchLength(start, start);
}

export function readFlowStats(reader: Reader, listEnd: number): FlowStats {
  const start = reader.offset;
  reader.need(56, listEnd, 'flow statistics');
  const end = reader.bounded(start, start, 56, listEnd, 'flow statistics');
  const { view } = reader;
  reader.offset = start + 48;
  const match = readMatch(reader, end);
  const instructions = readInstructions(reader, end);
  return {
    tableId: view.getUint8(start + 2),
    durationSec: view.getUint32(start + 4),
    durationNsec: view.getUint32(start + 8),
    priority: view.getUint16(start + 12),
    idleTimeout: view.getUint16(start + 14),
    hardTimeout: view.getUint16(start + 16),
    flags: view.getUint16(start + 18),
    cookie: view.getBigUint64(start + 24),
    packetCount: view.getBigUint64(start + 32),
    byteCount: view.getBigUint64(start + 40),
    match,
    instructions,
  };
}

export function writeTableStats(writer: Writer, table: TableStats): void {
  writer.u8(table.tableId);
  writer.skip(3);
  writer.u32(table.activeCount);
  writer.u64(table.lookupCount);
  writer.u64(table.matchedCount);
}

export function readTableStats(reader: Reader, end: number): TableStats {
  reader.need(24, end, 'table statistics');
  const tableId = reader.u8();
  reader.offset += 3;
  return { tableId, activeCount: reader.u32(), lookupCount: reader.u64(), matchedCount: reader.u64() };
}

export function writePortStats(writer: Writer, port: PortStats): void {
  writer.u32(port.portNo);
  writer.skip(4);
  writer.u64(port.rxPackets);
  writer.u64(port.txPackets);
  writer.u64(port.rxBytes);
  writer.u64(port.txBytes);
  writer.u64(port.rxDropped);
  writer.u64(port.txDropped);
  writer.u64(port.rxErrors);
  writer.u64(port.txErrors);
  writer.u64(port.rxFrameErrors);
  writer.u64(port.rxOverErrors);
  writer.u64(port.rxCrcErrors);
  writer.u64(port.collisions);
  writer.u32(port.durationSec);
  writer.u32(port.durationNsec);
}

export function readPortStats(reader: Reader, end: number): PortStats {
  reader.need(112, end, 'port statistics');
  const portNo = reader.u32();
  reader.offset += 4;
  return {
    portNo,
    rxPackets: reader.u64(),
    txPackets: reader.u64(),
    rxBytes: reader.u64(),
    txBytes: reader.u64(),
    rxDropped: reader.u64(),
    txDropped: reader.u64(),
    rxErrors: reader.u64(),
    txErrors: reader.u64(),
    rxFrameErrors: reader.u64(),
    rxOverErrors: reader.u64(),
    rxCrcErrors: reader.u64(),
    collisions: reader.u64(),
    durationSec: reader.u32(),
    durationNsec: reader.u32(),
  };
}

export function writeQueueStats(writer: Writer, queue: QueueStats): void {
  writer.u32(queue.portNo);
  writer.u32(queue.queueId);
  writer.u64(queue.txBytes);
  writer.u64(queue.txPackets);
  writer.u64(queue.txErrors);
  writer.u32(queue.durationSec);
  writer.u32(queue.durationNsec);
}

export function readQueueStats(reader: Reader, end: number): QueueStats {
  reader.need(40, end, 'queue statistics');
  return {
    portNo: reader.u32(),
    queueId: reader.u32(),
    txBytes: reader.u64(),
    txPackets: reader.u64(),
    txErrors: reader.u64(),
    durationSec: reader.u32(),
    durationNsec: reader.u32(),
  };
}

export function writeGroupStats(writer: Writer, group: GroupStats): void {
  const start = writer.offset;
  writer.skip(4);
  writer.u32(group.groupId);
  writer.u32(group.refCount);
  writer.skip(4);
  writer.u64(group.packetCount);
  writer.u64(group.byteCount);
  writer.u32(group.durationSec);
  writer.u32(group.durationNsec);
  for (const bucket of group.buckets) {
    writer.u64(bucket.packetCount);
    writer.u64(bucket.byteCount);
  }
  writer.patchLength(start, start);
}

export function readGroupStats(reader: Reader, listEnd: number): GroupStats {
  const start = reader.offset;
  reader.need(40, listEnd, 'group statistics');
  const end = reader.bounded(start, start, 40, listEnd, 'group statistics');
  reader.offset = start + 4;
  const groupId = reader.u32();
  const refCount = reader.u32();
  reader.offset += 4;
  const packetCount = reader.u64();
  const byteCount = reader.u64();
  const durationSec = reader.u32();
  const durationNsec = reader.u32();
  const buckets = [];
  while (reader.offset < end) {
    reader.need(16, end, 'bucket counter');
    buckets.push({ packetCount: reader.u64(), byteCount: reader.u64() });
  }
  return { groupId, refCount, packetCount, byteCount, durationSec, durationNsec, buckets };
}

export function writeGroupDescription(writer: Writer, group: GroupDescription): void {
  const start = writer.offset;
  writer.skip(2);
  writer.u8(group.groupType);
  writer.skip(1);
  writer.u32(group.groupId);
  writeBuckets(writer, group.buckets);
  writer.patchLength(start, start);
}

export function readGroupDescription(reader: Reader, listEnd: number): GroupDescription {
  const start = reader.offset;
  reader.need(8, listEnd, 'group description');
  const end = reader.bounded(start, start, 8, listEnd, 'group description');
  reader.offset = start + 2;
  const groupType = reader.u8();
  reader.offset += 1;
  const groupId = reader.u32();
  return { groupType, groupId, buckets: readBuckets(reader, end) };
}

export function writeMeterStats(writer: Writer, meter: MeterStats): void {
  const start = writer.offset;
  writer.u32(meter.meterId);
  writer.skip(8);
  writer.u32(meter.flowCount);
  writer.u64(meter.packetInCount);
  writer.u64(meter.byteInCount);
  writer.u32(meter.durationSec);
  writer.u32(meter.durationNsec);
  for (const band of meter.bands) {
    writer.u64(band.packetBandCount);
    writer.u64(band.byteBandCount);
  }
  writer.patchLength(start + 4, start);
}

export function readMeterStats(reader: Reader, listEnd: number): MeterStats {
  const start = reader.offset;
  reader.need(40, listEnd, 'meter statistics');
  const end = reader.bounded(start + 4, start, 40, listEnd, 'meter statistics');
  const meterId = reader.u32();
  reader.offset = start + 12;
  const flowCount = reader.u32();
  const packetInCount = reader.u64();
  const byteInCount = reader.u64();
  const durationSec = reader.u32();
  const durationNsec = reader.u32();
  const bands = [];
  while (reader.offset < end) {
    reader.need(16, end, 'band counter');
    bands.push({ packetBandCount: reader.u64(), byteBandCount: reader.u64() });
  }
  return { meterId, flowCount, packetInCount, byteInCount, durationSec, durationNsec, bands };
}

export function writeMeterConfig(writer: Writer, meter: MeterConfig): void {
  const start = writer.offset;
  writer.skip(2);
  writer.u16(meter.flags);
  writer.u32(meter.meterId);
  writeBands(writer, meter.bands);
  writer.patchLength(start, start);
}

export function readMeterConfig(reader: Reader, listEnd: number): MeterConfig {
  const start = reader.offset;
  reader.need(8, listEnd, 'meter configuration');
  const end = reader.bounded(start, start, 8, listEnd, 'meter configuration');
  reader.offset = start + 2;
  const flags = reader.u16();
  const meterId = reader.u32();
  return { flags, meterId, bands: readBands(reader, end) };
}
