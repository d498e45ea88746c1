/** Bodies of flow monitors on OpenFlow 1.3 (ONF EXT-187, experimenter multipart type 1870). */
import { FlowUpdateEvent } from '../constants.js';
import { BadMatchCode, BadRequestCode, ErrorType } from '../errors.js';
import { readMatch, writeMatch } from '../oxm/codec.js';
import type { Match } from '../oxm/oxm.js';
import type { FlowMonitorRequest, FlowUpdate } from '../structures.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { readInstructions, writeInstructions } from './instructions.js';

const REQUEST_LENGTH = 16;
const FULL_UPDATE_LENGTH = 24;

/** Writes a match, and its length without padding into the two bytes at `lengthAt`. */
function writeMeasuredMatch(writer: Writer, match: Match, lengthAt: number): void {
  const start = writer.offset;
  writeMatch(writer, match);
  writer.view.setUint16(lengthAt, writer.view.getUint16(start + 2));
}

function readMeasuredMatch(reader: Reader, end: number, length: number): Match {
  const start = reader.offset;
  const match = readMatch(reader, end);
  if (reader.view.getUint16(start + 2) !== length) {
    throw new Malformed(
      ErrorType.BAD_MATCH,
      BadMatchCode.BAD_LEN,
      start,
      `match_len ${length} is not the length of the match`,
    );
  }
  return match;
}

export function writeFlowMonitorRequest(writer: Writer, request: FlowMonitorRequest): void {
  const start = writer.offset;
  writer.u32(request.monitorId);
  writer.u16(request.flags);
  writer.skip(2);
  writer.u32(request.outPort);
  writer.u8(request.tableId);
  writer.skip(3);
  writeMeasuredMatch(writer, request.match, start + 6);
}

export function readFlowMonitorRequest(reader: Reader, end: number): FlowMonitorRequest {
  reader.need(REQUEST_LENGTH, end, 'flow monitor');
  const monitorId = reader.u32();
  const flags = reader.u16();
  const matchLength = reader.u16();
  const outPort = reader.u32();
  const tableId = reader.u8();
  reader.offset += 3;
  return { monitorId, flags, outPort, tableId, match: readMeasuredMatch(reader, end, matchLength) };
}

const EVENT = {
  added: FlowUpdateEvent.ADDED,
  deleted: FlowUpdateEvent.DELETED,
  modified: FlowUpdateEvent.MODIFIED,
} as const;
const FULL_EVENTS = ['added', 'deleted', 'modified'] as const;

export function writeFlowUpdate(writer: Writer, update: FlowUpdate): void {
  const start = writer.offset;
  writer.skip(2);
  if (update.event === 'opaque') {
    writer.u16(update.number);
    writer.raw(update.data);
  } else if (update.event === 'abbreviated') {
    writer.u16(FlowUpdateEvent.ABBREVIATED);
    writer.u32(update.xid);
  } else {
    writer.u16(EVENT[update.event]);
    writer.u16(update.reason);
    writer.u16(update.priority);
    writer.u16(update.idleTimeout);
    writer.u16(update.hardTimeout);
    writer.skip(2);
    writer.u8(update.tableId);
    writer.skip(1);
    writer.u64(update.cookie);
    writeMeasuredMatch(writer, update.match, start + 12);
    writeInstructions(writer, update.instructions);
  }
  writer.patchLength(start, start);
}

export function readFlowUpdate(reader: Reader, listEnd: number): FlowUpdate {
  const start = reader.offset;
  reader.need(4, listEnd, 'flow update');
  const end = reader.bounded(start, start, 4, listEnd, 'flow update');
  reader.offset = start + 2;
  const number = reader.u16();
  const event = FULL_EVENTS[number];
  if (event !== undefined) {
    reader.need(FULL_UPDATE_LENGTH - 4, end, 'flow update');
    const reason = reader.u16();
    const priority = reader.u16();
    const idleTimeout = reader.u16();
    const hardTimeout = reader.u16();
    const matchLength = reader.u16();
    const tableId = reader.u8();
    reader.offset += 1;
    const cookie = reader.u64();
    const match = readMeasuredMatch(reader, end, matchLength);
    const instructions = readInstructions(reader, end);
    return { event, reason, priority, idleTimeout, hardTimeout, tableId, cookie, match, instructions };
  }
  if (number !== FlowUpdateEvent.ABBREVIATED) return { event: 'opaque', number, data: reader.rest(end) };
  if (end - start !== 8) {
    throw new Malformed(
      ErrorType.BAD_REQUEST,
      BadRequestCode.BAD_LEN,
      start,
      `an abbreviated flow update of ${end - start} bytes; it takes 8`,
    );
  }
  return { event: 'abbreviated', xid: reader.u32() };
}
