/** Nicira's actions that hold actions: `ct` and `clone`. They get the functions for lists of actions from outside. */
import type { Action, CtAction, Subfield } from '../actions.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import {
  type AnyActionCodec,
  actionCodec,
  packBits,
  readFieldHeader,
  unpackBits,
  unpackOffset,
  writeShortFieldHeader,
} from './action-codec.js';

const NO_RECIRCULATION = 0xff;

/** Actions deeper than this stay opaque: a peer must not be able to exhaust the stack. */
const MAX_DEPTH = 16;

export interface ActionLists {
  readonly write: (writer: Writer, actions: readonly Action[]) => void;
  readonly read: (reader: Reader, end: number) => Action[];
}

export function nestedActions(lists: ActionLists): readonly AnyActionCodec[] {
  const readNested = (reader: Reader, end: number): Action[] | undefined => {
    if (reader.depth >= MAX_DEPTH) return undefined;
    reader.depth += 1;
    const actions = lists.read(reader, end);
    reader.depth -= 1;
    return actions;
  };
  return [
    actionCodec<'ct'>({
      type: 'ct',
      number: 35,
      length: 0,
      write(writer, action) {
        const { zone } = action;
        writer.u16(action.flags);
        if (typeof zone === 'number') {
          writer.skip(4);
          writer.u16(zone);
        } else {
          writeShortFieldHeader(writer, zone.field, 'reg_move to a register first');
          writer.u16(packBits(zone.offset, zone.bits));
        }
        writer.u8(action.recircTable ?? NO_RECIRCULATION);
        writer.skip(3);
        writer.u16(action.alg);
        lists.write(writer, action.actions);
      },
      read(reader, end) {
        if (reader.offset + 14 > end) return undefined;
        const flags = reader.u16();
        const zone = readZone(reader, end);
        const recircTable = reader.u8();
        reader.offset += 3;
        const alg = reader.u16();
        const actions = zone === undefined ? undefined : readNested(reader, end);
        if (zone === undefined || actions === undefined) return undefined;
        const ct: CtAction = { type: 'ct', flags, zone, alg, actions };
        return recircTable === NO_RECIRCULATION ? ct : { ...ct, recircTable };
      },
    }),
    actionCodec<'clone'>({
      type: 'clone',
      number: 42,
      length: 0,
      write(writer, action) {
        writer.skip(6);
        lists.write(writer, action.actions);
      },
      read(reader, end) {
        reader.offset += 6;
        const actions = readNested(reader, end);
        return actions && { type: 'clone', actions };
      },
    }),
  ];
}

function readZone(reader: Reader, end: number): number | Subfield | undefined {
  if (reader.view.getUint32(reader.offset) === 0) {
    reader.offset += 4;
    return reader.u16();
  }
  const field = readFieldHeader(reader, end);
  if (field === undefined || field.experimenter !== undefined) return undefined;
  const packed = reader.u16();
  return { field, offset: unpackOffset(packed), bits: unpackBits(packed) };
}
