/** What the tables of actions are made of. */
import type { Action, ActionOf, Subfield } from '../actions.js';
import type { Field } from '../oxm/field.js';
import { OxmClass } from '../oxm/field.js';
import { experimenterField, fieldByCode } from '../oxm/registry.js';
import type { Reader } from '../wire/reader.js';
import { ValueOutOfRange, type Writer } from '../wire/writer.js';

/** One action's bytes after its header (4 bytes; Nicira's: 10, with experimenter and subtype). */
export interface ActionCodec<T extends Action['type'] = Action['type']> {
  readonly type: T;
  /** Action type, or Nicira's subtype. */
  readonly number: number;
  /** Length of the whole action where it is fixed, else 0; the writer pads to 8 bytes and fills the length in. */
  readonly length: number;
  write(writer: Writer, action: ActionOf<T>): void;
  /** Undefined where the bytes are of a form this library has no value for: the action is kept opaque then. */
  read(reader: Reader, end: number): ActionOf<T> | undefined;
}

/** The same codec, usable for whatever action has its `type`. */
export type AnyActionCodec = ActionCodec<Action['type']>;

/** Gives a table row its exact type, and the table a common one. */
export function actionCodec<T extends Action['type']>(row: ActionCodec<T>): AnyActionCodec {
  // Sound because rows are only ever called with an action of their own type.
  return row as unknown as AnyActionCodec;
}

/** A row for an action that has no arguments. */
export function bareAction<T extends Action['type']>(
  type: T & (ActionOf<T> extends { readonly type: T } ? T : never),
  number: number,
  length: number,
): AnyActionCodec {
  const action = { type } as ActionOf<T>;
  return actionCodec<T>({ type, number, length, write: () => undefined, read: () => action });
}

/** Writes the header of a field as an action refers to it: 4 bytes, 8 with an experimenter. */
export function writeFieldHeader(writer: Writer, field: Field): void {
  writer.u32(field.header >>> 0);
  if (field.experimenter !== undefined) writer.u32(field.experimenter);
}

/** As `writeFieldHeader`, where the action has room for 4 bytes only. */
export function writeShortFieldHeader(writer: Writer, field: Field, instead: string): void {
  if (field.experimenter !== undefined) {
    throw new RangeError(
      `field ${field.name} has an experimenter id and no room in this action; use ${instead}`,
    );
  }
  writer.u32(field.header >>> 0);
}

/** Reads the header of a field; undefined where the library does not know it or its length is not the usual one. */
export function readFieldHeader(reader: Reader, end: number): Field | undefined {
  if (reader.offset + 4 > end) return undefined;
  const header = reader.u32() | 0;
  const oxmClass = header >>> 16;
  const number = (header >>> 9) & 0x7f;
  let field: Field | undefined;
  if (oxmClass === OxmClass.EXPERIMENTER) {
    if (reader.offset + 4 > end) return undefined;
    field = experimenterField(reader.u32(), number);
  } else {
    field = fieldByCode(oxmClass, number);
  }
  return field !== undefined && field.header === header ? field : undefined;
}

/** Offset and width of bits in Nicira's 16-bit form: `offset << 6 | bits - 1`. */
export function packBits(offset: number, bits: number): number {
  if ((offset & 0x3ff) !== offset) throw new ValueOutOfRange(offset, 10, 'the offset of a subfield');
  if (((bits - 1) & 0x3f) !== bits - 1)
    throw new ValueOutOfRange(bits - 1, 6, 'the width less one of a subfield');
  return (offset << 6) | (bits - 1);
}
export const unpackOffset = (packed: number): number => packed >>> 6;
export const unpackBits = (packed: number): number => (packed & 0x3f) + 1;

/** A port number of OpenFlow 1.3 in Nicira's 16 bits, and back: the reserved ones are the last 256 of either. */
export function portTo16(port: number): number {
  if ((port & 0xffff) !== port && (port < 0xffffff00 || port >>> 0 !== port))
    throw new ValueOutOfRange(port, 16, 'a port number');
  return port & 0xffff;
}
export const portFrom16 = (port: number): number => (port >= 0xff00 ? port + 0xffff0000 : port);

export const subfield = (field: Field, offset: number, bits: number): Subfield => ({ field, offset, bits });
