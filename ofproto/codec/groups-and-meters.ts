/** Buckets of groups, bands of meters and properties of queues. */
import { BadRequestCode, ErrorType, GroupModFailedCode, MeterModFailedCode } from '../errors.js';
import type { Bucket, MeterBand, PacketQueue, QueueProperty } from '../structures.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { readActions, writeActions } from './actions.js';

/** Section 7.3.4.3, ofp_bucket. */
export function writeBuckets(writer: Writer, buckets: readonly Bucket[]): void {
  for (const bucket of buckets) {
    const start = writer.offset;
    writer.skip(2);
    writer.u16(bucket.weight);
    writer.u32(bucket.watchPort);
    writer.u32(bucket.watchGroup);
    writer.skip(4);
    writeActions(writer, bucket.actions);
    writer.patchLength(start, start);
  }
}

export function readBuckets(reader: Reader, listEnd: number): Bucket[] {
  const buckets: Bucket[] = [];
  while (reader.offset < listEnd) {
    const start = reader.offset;
    reader.need(16, listEnd, 'bucket');
    const length = reader.u16();
    if (length < 16 || (length & 7) !== 0 || start + length > listEnd) {
      throw new Malformed(
        ErrorType.GROUP_MOD_FAILED,
        GroupModFailedCode.BAD_BUCKET,
        start,
        `a bucket of ${length} bytes; a multiple of 8 from 16 to ${listEnd - start} is possible`,
      );
    }
    const weight = reader.u16();
    const watchPort = reader.u32();
    const watchGroup = reader.u32();
    reader.offset += 4;
    buckets.push({ weight, watchPort, watchGroup, actions: readActions(reader, start + length) });
  }
  return buckets;
}

const BAND = { DROP: 1, DSCP_REMARK: 2, EXPERIMENTER: 0xffff } as const;

/** Section 7.3.4.5, ofp_meter_band_header. */
export function writeBands(writer: Writer, bands: readonly MeterBand[]): void {
  for (const band of bands) {
    const start = writer.offset;
    if (band.type === 'opaque') {
      writer.u16(band.number);
      writer.length(4 + band.data.length);
      writer.raw(band.data);
      continue;
    }
    writer.u16(
      band.type === 'drop' ? BAND.DROP : band.type === 'dscp_remark' ? BAND.DSCP_REMARK : BAND.EXPERIMENTER,
    );
    writer.skip(2);
    writer.u32(band.rate);
    writer.u32(band.burstSize);
    if (band.type === 'experimenter') {
      writer.u32(band.experimenter);
      writer.raw(band.data);
    } else {
      writer.u8(band.type === 'dscp_remark' ? band.precedenceLevel : 0);
      writer.skip(3);
    }
    writer.patchLength(start + 2, start);
  }
}

export function readBands(reader: Reader, listEnd: number): MeterBand[] {
  const bands: MeterBand[] = [];
  while (reader.offset < listEnd) {
    const start = reader.offset;
    reader.need(4, listEnd, 'meter band');
    const number = reader.u16();
    const length = reader.u16();
    const end = start + length;
    const fixed = number === BAND.DROP || number === BAND.DSCP_REMARK;
    if (length < (number === BAND.EXPERIMENTER ? 16 : 4) || (fixed && length !== 16) || end > listEnd) {
      throw new Malformed(
        ErrorType.METER_MOD_FAILED,
        MeterModFailedCode.BAD_BAND,
        start,
        `meter band type ${number} of ${length} bytes where ${listEnd - start} are left`,
      );
    }
    if (!fixed && number !== BAND.EXPERIMENTER) {
      bands.push({ type: 'opaque', number, data: reader.rest(end) });
      continue;
    }
    const rate = reader.u32();
    const burstSize = reader.u32();
    if (number === BAND.DROP) {
      bands.push({ type: 'drop', rate, burstSize });
    } else if (number === BAND.DSCP_REMARK) {
      bands.push({ type: 'dscp_remark', rate, burstSize, precedenceLevel: reader.u8() });
    } else {
      const experimenter = reader.u32();
      bands.push({ type: 'experimenter', rate, burstSize, experimenter, data: reader.rest(end) });
    }
    reader.offset = end;
  }
  return bands;
}

const QUEUE_PROPERTY = { MIN_RATE: 1, MAX_RATE: 2, EXPERIMENTER: 0xffff } as const;

/** Section 7.2.2, ofp_packet_queue. */
export function writeQueues(writer: Writer, queues: readonly PacketQueue[]): void {
  for (const queue of queues) {
    const start = writer.offset;
    writer.u32(queue.queueId);
    writer.u32(queue.port);
    writer.skip(8);
    for (const property of queue.properties) writeQueueProperty(writer, property);
    writer.patchLength(start + 8, start);
  }
}

function writeQueueProperty(writer: Writer, property: QueueProperty): void {
  const start = writer.offset;
  switch (property.type) {
    case 'min_rate':
    case 'max_rate':
      writer.u16(property.type === 'min_rate' ? QUEUE_PROPERTY.MIN_RATE : QUEUE_PROPERTY.MAX_RATE);
      writer.skip(6);
      writer.u16(property.rate);
      writer.skip(6);
      break;
    case 'experimenter':
      writer.u16(QUEUE_PROPERTY.EXPERIMENTER);
      writer.skip(6);
      writer.u32(property.experimenter);
      writer.skip(4);
      writer.raw(property.data);
      break;
    default:
      writer.u16(property.number);
      writer.skip(2);
      writer.raw(property.data);
  }
  writer.patchLength(start + 2, start);
}

export function readQueues(reader: Reader, listEnd: number): PacketQueue[] {
  const queues: PacketQueue[] = [];
  while (reader.offset < listEnd) {
    const start = reader.offset;
    reader.need(16, listEnd, 'packet queue');
    const queueId = reader.u32();
    const port = reader.u32();
    const end = reader.bounded(start + 8, start, 16, listEnd, 'packet queue');
    reader.offset = start + 16;
    const properties: QueueProperty[] = [];
    while (reader.offset < end) properties.push(readQueueProperty(reader, end));
    queues.push({ queueId, port, properties });
  }
  return queues;
}

function readQueueProperty(reader: Reader, listEnd: number): QueueProperty {
  const start = reader.offset;
  reader.need(4, listEnd, 'queue property');
  const number = reader.u16();
  const known = number >= QUEUE_PROPERTY.MIN_RATE && number <= QUEUE_PROPERTY.MAX_RATE;
  const minimum = known || number === QUEUE_PROPERTY.EXPERIMENTER ? 16 : 4;
  const end = reader.bounded(start + 2, start, minimum, listEnd, 'queue property');
  if (known) {
    if (end - start !== 16) {
      throw new Malformed(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_LEN,
        start,
        `queue property ${number} of ${end - start} bytes; it takes 16`,
      );
    }
    const rate = reader.view.getUint16(start + 8);
    reader.offset = end;
    return { type: number === QUEUE_PROPERTY.MIN_RATE ? 'min_rate' : 'max_rate', rate };
  }
  if (number === QUEUE_PROPERTY.EXPERIMENTER) {
    const experimenter = reader.view.getUint32(start + 8);
    reader.offset = start + 16;
    return { type: 'experimenter', experimenter, data: reader.rest(end) };
  }
  reader.offset = start + 4;
  return { type: 'opaque', number, data: reader.rest(end) };
}
