/** flow_mod (OpenFlow 1.3.5, section 7.3.4.1), the message that is written most. */
import type { FlowMod } from '../messages.js';
import { readMatch, writeMatch } from '../oxm/codec.js';
import type { Reader } from '../wire/reader.js';
import { requireU64, ValueOutOfRange, type Writer } from '../wire/writer.js';
import { readInstructions, writeInstructions } from './instructions.js';

const BITS = {
  tableId: 8,
  command: 8,
  idleTimeout: 16,
  hardTimeout: 16,
  priority: 16,
  flags: 16,
  bufferId: 32,
  outPort: 32,
  outGroup: 32,
} as const;

function outOfRange(message: FlowMod): never {
  for (const [name, bits] of Object.entries(BITS)) {
    const value = message[name as keyof typeof BITS];
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits)
      throw new ValueOutOfRange(value, bits, name);
  }
  throw new TypeError('a number of the flow_mod is not a number');
}

/** Appends the body. Its numbers are checked in one go and put without the writer's calls. */
export function writeFlowMod(writer: Writer, message: FlowMod): void {
  const { tableId, command, idleTimeout, hardTimeout, priority, flags, bufferId, outPort, outGroup } =
    message;
  if (
    (tableId & 0xff) !== tableId ||
    (command & 0xff) !== command ||
    (idleTimeout & 0xffff) !== idleTimeout ||
    (hardTimeout & 0xffff) !== hardTimeout ||
    (priority & 0xffff) !== priority ||
    (flags & 0xffff) !== flags ||
    bufferId >>> 0 !== bufferId ||
    outPort >>> 0 !== outPort ||
    outGroup >>> 0 !== outGroup
  )
    outOfRange(message);
  requireU64(message.cookie, 'cookie');
  requireU64(message.cookieMask, 'cookieMask');
  writer.reserve(40);
  const { view, offset } = writer;
  view.setBigUint64(offset, message.cookie);
  view.setBigUint64(offset + 8, message.cookieMask);
  view.setUint8(offset + 16, tableId);
  view.setUint8(offset + 17, command);
  view.setUint16(offset + 18, idleTimeout);
  view.setUint16(offset + 20, hardTimeout);
  view.setUint16(offset + 22, priority);
  view.setUint32(offset + 24, bufferId);
  view.setUint32(offset + 28, outPort);
  view.setUint32(offset + 32, outGroup);
  view.setUint16(offset + 36, flags);
  writer.offset = offset + 40;
  writeMatch(writer, message.match);
  writeInstructions(writer, message.instructions);
}

/** Reads a body of which at least 48 bytes are there. */
export function readFlowMod(reader: Reader, end: number, xid: number): FlowMod {
  const { view, offset } = reader;
  reader.offset = offset + 40;
  const match = readMatch(reader, end);
  const instructions = readInstructions(reader, end);
  return {
    type: 'flow_mod',
    xid,
    command: view.getUint8(offset + 17),
    tableId: view.getUint8(offset + 16),
    cookie: view.getBigUint64(offset),
    cookieMask: view.getBigUint64(offset + 8),
    idleTimeout: view.getUint16(offset + 18),
    hardTimeout: view.getUint16(offset + 20),
    priority: view.getUint16(offset + 22),
    bufferId: view.getUint32(offset + 24),
    outPort: view.getUint32(offset + 28),
    outGroup: view.getUint32(offset + 32),
    flags: view.getUint16(offset + 36),
    match,
    instructions,
  };
}
