/** The specifications inside NXAST_LEARN: what a learned entry matches, loads and outputs to. */
import type { LearnSpec, Subfield } from '../actions.js';
import type { Reader } from '../wire/reader.js';
import { ValueOutOfRange, type Writer } from '../wire/writer.js';
import { readFieldHeader, writeFieldHeader } from './action-codec.js';

const SOURCE_VALUE = 1 << 13;
const DESTINATION = { MATCH: 0, LOAD: 1, OUTPUT: 2 } as const;
const BITS_MASK = 0x7ff;

function writeSubfield(writer: Writer, subfield: Subfield): void {
  writeFieldHeader(writer, subfield.field);
  writer.u16(subfield.offset);
}

/** Values take as many bytes as their bits need, rounded up to 16 bits. */
const valueBytes = (bits: number): number => 2 * Math.ceil(bits / 16);

function writeValue(writer: Writer, value: bigint, bits: number): void {
  if (BigInt.asUintN(bits, value) !== value) throw new ValueOutOfRange(value, bits);
  for (let shift = 8 * valueBytes(bits) - 16; shift >= 0; shift -= 16) {
    writer.u16(Number((value >> BigInt(shift)) & 0xffffn));
  }
}

/** The width that a specification's header holds, as its 11 bits. */
function width({ bits }: Subfield): number {
  if ((bits & BITS_MASK) !== bits) throw new ValueOutOfRange(bits, 11, 'the width of a subfield');
  return bits;
}

export function writeLearnSpecs(writer: Writer, specs: readonly LearnSpec[]): void {
  for (const spec of specs) {
    switch (spec.kind) {
      case 'match_field':
      case 'load_field':
        writer.u16(
          ((spec.kind === 'match_field' ? DESTINATION.MATCH : DESTINATION.LOAD) << 11) | width(spec.dst),
        );
        writeSubfield(writer, spec.src);
        writeSubfield(writer, spec.dst);
        break;
      case 'match_value':
      case 'load_value':
        writer.u16(
          SOURCE_VALUE |
            ((spec.kind === 'match_value' ? DESTINATION.MATCH : DESTINATION.LOAD) << 11) |
            width(spec.dst),
        );
        writeValue(writer, spec.value, spec.dst.bits);
        writeSubfield(writer, spec.dst);
        break;
      default:
        writer.u16((DESTINATION.OUTPUT << 11) | width(spec.src));
        writeSubfield(writer, spec.src);
    }
  }
}

function readSubfield(reader: Reader, end: number, bits: number): Subfield | undefined {
  const field = readFieldHeader(reader, end);
  if (field === undefined || reader.offset + 2 > end) return undefined;
  return { field, offset: reader.u16(), bits };
}

function readValue(reader: Reader, end: number, bits: number): bigint | undefined {
  const bytes = valueBytes(bits);
  if (reader.offset + bytes > end) return undefined;
  let value = 0n;
  for (let read = 0; read < bytes; read += 2) value = (value << 16n) | BigInt(reader.u16());
  // What stands before the bits of the value is padding, which Open vSwitch does not look at.
  return BigInt.asUintN(bits, value);
}

function readSpec(reader: Reader, end: number, header: number): LearnSpec | undefined {
  const bits = header & BITS_MASK;
  const destination = (header >>> 11) & 3;
  const immediate = (header & SOURCE_VALUE) !== 0;
  if (bits === 0 || header >>> 14 !== 0) return undefined;
  if (destination === DESTINATION.OUTPUT) {
    const src = immediate ? undefined : readSubfield(reader, end, bits);
    return src && { kind: 'output', src };
  }
  if (destination > DESTINATION.OUTPUT) return undefined;
  const isMatch = destination === DESTINATION.MATCH;
  if (immediate) {
    const value = readValue(reader, end, bits);
    const dst = value === undefined ? undefined : readSubfield(reader, end, bits);
    if (value === undefined || dst === undefined) return undefined;
    return { kind: isMatch ? 'match_value' : 'load_value', value, dst };
  }
  const src = readSubfield(reader, end, bits);
  const dst = src && readSubfield(reader, end, bits);
  return src && dst && { kind: isMatch ? 'match_field' : 'load_field', src, dst };
}

/** Undefined where a specification is of a form this library does not know. A zero header starts the padding. */
export function readLearnSpecs(reader: Reader, end: number): readonly LearnSpec[] | undefined {
  const specs: LearnSpec[] = [];
  while (reader.offset + 2 <= end) {
    const header = reader.u16();
    if (header === 0) break;
    const spec = readSpec(reader, end, header);
    if (spec === undefined) return undefined;
    specs.push(spec);
  }
  return specs;
}
