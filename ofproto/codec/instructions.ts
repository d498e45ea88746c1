/** Instructions to bytes and back (OpenFlow 1.3.5, section 7.2.4). */
import type { Instruction } from '../actions.js';
import { BadInstructionCode, ErrorType } from '../errors.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { readActions, writeActions } from './actions.js';

const NUMBER = {
  goto_table: 1,
  write_metadata: 2,
  write_actions: 3,
  apply_actions: 4,
  clear_actions: 5,
  meter: 6,
} as const;

/** Appends the instructions in the order in which they are given. */
export function writeInstructions(writer: Writer, instructions: readonly Instruction[]): void {
  for (const instruction of instructions) {
    const start = writer.offset;
    writer.reserve(24);
    const { view } = writer;
    switch (instruction.type) {
      case 'goto_table':
        view.setUint32(start, (NUMBER.goto_table << 16) | 8);
        writer.offset = start + 4;
        writer.u8(instruction.table);
        writer.offset = start + 8;
        break;
      case 'apply_actions':
      case 'write_actions':
        view.setUint16(start, NUMBER[instruction.type]);
        writer.offset = start + 8;
        writeActions(writer, instruction.actions);
        writer.patchLength(start + 2, start);
        break;
      case 'write_metadata':
        view.setUint32(start, (NUMBER.write_metadata << 16) | 24);
        writer.offset = start + 8;
        writer.u64(instruction.metadata);
        writer.u64(instruction.mask);
        break;
      case 'clear_actions':
        view.setUint32(start, (NUMBER.clear_actions << 16) | 8);
        writer.offset = start + 8;
        break;
      case 'meter':
        view.setUint32(start, (NUMBER.meter << 16) | 8);
        writer.offset = start + 4;
        writer.u32(instruction.meterId);
        break;
      default:
        writer.u16(instruction.number);
        writer.length(4 + instruction.data.length);
        writer.raw(instruction.data);
    }
  }
}

const FIXED_LENGTH: Readonly<Record<number, number>> = {
  [NUMBER.goto_table]: 8,
  [NUMBER.write_metadata]: 24,
  [NUMBER.meter]: 8,
  [NUMBER.clear_actions]: 8,
};

/** Reads instructions up to `end`. */
export function readInstructions(reader: Reader, listEnd: number): Instruction[] {
  const instructions: Instruction[] = [];
  while (reader.offset < listEnd) instructions.push(readInstruction(reader, listEnd));
  return instructions;
}

function readInstruction(reader: Reader, listEnd: number): Instruction {
  const { view, offset: start } = reader;
  if (start + 4 > listEnd) badLength(start, `an instruction needs 4 bytes where ${listEnd - start} are left`);
  const number = view.getUint16(start);
  const length = view.getUint16(start + 2);
  const end = start + length;
  const expected = FIXED_LENGTH[number];
  const minimum = number === NUMBER.apply_actions || number === NUMBER.write_actions ? 8 : 4;
  if (length < minimum || end > listEnd || (expected !== undefined && expected !== length)) {
    badLength(start, `instruction type ${number} of ${length} bytes where ${listEnd - start} are left`);
  }
  reader.offset = end;
  switch (number) {
    case NUMBER.goto_table:
      return { type: 'goto_table', table: view.getUint8(start + 4) };
    case NUMBER.apply_actions:
      reader.offset = start + 8;
      return { type: 'apply_actions', actions: readActions(reader, end) };
    case NUMBER.write_actions:
      reader.offset = start + 8;
      return { type: 'write_actions', actions: readActions(reader, end) };
    case NUMBER.write_metadata:
      return {
        type: 'write_metadata',
        metadata: view.getBigUint64(start + 8),
        mask: view.getBigUint64(start + 16),
      };
    case NUMBER.clear_actions:
      return { type: 'clear_actions' };
    case NUMBER.meter:
      return { type: 'meter', meterId: view.getUint32(start + 4) };
    default:
      return { type: 'opaque', number, data: reader.bytes.slice(start + 4, end) };
  }
}

function badLength(offset: number, reason: string): never {
  throw new Malformed(ErrorType.BAD_INSTRUCTION, BadInstructionCode.BAD_LEN, offset, reason);
}
