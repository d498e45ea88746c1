/** Actions to bytes and back: the table of OpenFlow's own, and the lists of all (OpenFlow 1.3.5, section 7.2.5). */
import type { Action } from '../actions.js';
import { BadActionCode, ErrorType } from '../errors.js';
import { readOxm, writeOxm } from '../oxm/codec.js';
import { NICIRA_EXPERIMENTER } from '../oxm/extensions.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { type AnyActionCodec, actionCodec, bareAction, portFrom16, portTo16 } from './action-codec.js';
import { nestedActions } from './nested-actions.js';
import { NICIRA_ACTIONS, RESUBMIT_TO_PORT } from './nicira-actions.js';

const EXPERIMENTER = 0xffff;

const ethertypeAction = (
  type: 'push_vlan' | 'push_mpls' | 'pop_mpls' | 'push_pbb',
  number: number,
): AnyActionCodec =>
  actionCodec<typeof type>({
    type,
    number,
    length: 8,
    write: (writer, action) => writer.u16(action.ethertype),
    read: (reader) => ({ type, ethertype: reader.u16() }),
  });

const ttlAction = (type: 'set_mpls_ttl' | 'set_nw_ttl', number: number): AnyActionCodec =>
  actionCodec<typeof type>({
    type,
    number,
    length: 8,
    write: (writer, action) => writer.u8(action.ttl),
    read: (reader) => ({ type, ttl: reader.u8() }),
  });

const STANDARD_ACTIONS: readonly AnyActionCodec[] = [
  actionCodec<'output'>({
    type: 'output',
    number: 0,
    length: 16,
    write(writer, action) {
      writer.u32(action.port);
      writer.u16(action.maxLen);
    },
    read: (reader) => ({ type: 'output', port: reader.u32(), maxLen: reader.u16() }),
  }),
  bareAction('copy_ttl_out', 11, 8),
  bareAction('copy_ttl_in', 12, 8),
  ttlAction('set_mpls_ttl', 15),
  bareAction('dec_mpls_ttl', 16, 8),
  ethertypeAction('push_vlan', 17),
  bareAction('pop_vlan', 18, 8),
  ethertypeAction('push_mpls', 19),
  ethertypeAction('pop_mpls', 20),
  actionCodec<'set_queue'>({
    type: 'set_queue',
    number: 21,
    length: 8,
    write: (writer, action) => writer.u32(action.queueId),
    read: (reader) => ({ type: 'set_queue', queueId: reader.u32() }),
  }),
  actionCodec<'group'>({
    type: 'group',
    number: 22,
    length: 8,
    write: (writer, action) => writer.u32(action.groupId),
    read: (reader) => ({ type: 'group', groupId: reader.u32() }),
  }),
  ttlAction('set_nw_ttl', 23),
  bareAction('dec_nw_ttl', 24, 8),
  actionCodec<'set_field'>({
    type: 'set_field',
    number: 25,
    length: 0,
    write: (writer, action) => writeOxm(writer, action.oxm),
    read: (reader, end) => ({ type: 'set_field', oxm: readOxm(reader, end) }),
  }),
  ethertypeAction('push_pbb', 26),
  bareAction('pop_pbb', 27, 8),
];

const NESTED = nestedActions({ write: writeActions, read: readActions });
const ALL_NICIRA = [...NICIRA_ACTIONS, ...NESTED];

function byNumber(codecs: readonly AnyActionCodec[]): readonly (AnyActionCodec | undefined)[] {
  const table: (AnyActionCodec | undefined)[] = Array.from({ length: 64 });
  for (const codec of codecs) table[codec.number] = codec;
  return table;
}

const STANDARD_BY_NUMBER = byNumber(STANDARD_ACTIONS);
const NICIRA_BY_SUBTYPE = byNumber(ALL_NICIRA);
const STANDARD_BY_TYPE: Readonly<Record<string, AnyActionCodec>> = Object.fromEntries(
  STANDARD_ACTIONS.map((codec) => [codec.type, codec]),
);
const NICIRA_BY_TYPE: Readonly<Record<string, AnyActionCodec>> = Object.fromEntries(
  ALL_NICIRA.map((codec) => [codec.type, codec]),
);

/** Appends the actions, each padded to 8 bytes. */
export function writeActions(writer: Writer, actions: readonly Action[]): void {
  for (const action of actions) writeAction(writer, action);
}

function writeAction(writer: Writer, action: Action): void {
  const start = writer.offset;
  writer.reserve(32);
  const { view } = writer;
  let codec = STANDARD_BY_TYPE[action.type];
  if (codec !== undefined) {
    view.setUint16(start, codec.number);
    writer.offset = start + 4;
  } else {
    codec = NICIRA_BY_TYPE[action.type];
    if (codec === undefined || (action.type === 'resubmit' && action.table === undefined)) {
      writeUncommon(writer, action, start);
      return;
    }
    view.setUint16(start, EXPERIMENTER);
    view.setUint32(start + 4, NICIRA_EXPERIMENTER);
    view.setUint16(start + 8, codec.number);
    writer.offset = start + 10;
  }
  codec.write(writer, action);
  if (codec.length === 0) {
    writer.pad8(start);
    writer.patchLength(start + 2, start);
  } else {
    writer.view.setUint16(start + 2, codec.length);
    writer.offset = start + codec.length;
  }
}

function writeUncommon(writer: Writer, action: Action, start: number): void {
  if (action.type === 'resubmit') {
    writer.u16(EXPERIMENTER);
    writer.u16(16);
    writer.u32(NICIRA_EXPERIMENTER);
    writer.u16(RESUBMIT_TO_PORT);
    writer.u16(portTo16(action.port ?? 0xfff8));
    writer.skip(4);
  } else if (action.type === 'opaque') {
    writer.u16(action.number);
    writer.length(4 + action.data.length);
    writer.raw(action.data);
  } else {
    throw new TypeError(`action of unknown type '${action.type}' at offset ${start}`);
  }
}

/** Reads actions up to `end`. */
export function readActions(reader: Reader, end: number): Action[] {
  const actions: Action[] = [];
  while (reader.offset < end) actions.push(readAction(reader, end));
  return actions;
}

function badAction(code: number, offset: number, reason: string): never {
  throw new Malformed(ErrorType.BAD_ACTION, code, offset, reason);
}

function readAction(reader: Reader, listEnd: number): Action {
  const { view, offset: start } = reader;
  if (start + 8 > listEnd) {
    badAction(BadActionCode.BAD_LEN, start, `an action needs 8 bytes where ${listEnd - start} are left`);
  }
  const number = view.getUint16(start);
  const length = view.getUint16(start + 2);
  const end = start + length;
  if (length < 8 || (length & 7) !== 0 || end > listEnd) {
    badAction(
      BadActionCode.BAD_LEN,
      start,
      `action type ${number} of ${length} bytes; a multiple of 8 up to ${listEnd - start} is possible`,
    );
  }
  let action: Action | undefined;
  if (number === EXPERIMENTER) {
    action = readNicira(reader, start, end);
  } else {
    const codec = STANDARD_BY_NUMBER[number];
    if (codec !== undefined) {
      if (codec.length !== 0 && codec.length !== length) {
        badAction(
          BadActionCode.BAD_LEN,
          start,
          `${codec.type} takes ${codec.length} bytes and has ${length}`,
        );
      }
      reader.offset = start + 4;
      action = codec.read(reader, end);
    }
  }
  reader.offset = end;
  return action ?? { type: 'opaque', number, data: reader.bytes.slice(start + 4, end) };
}

/** Undefined where the experimenter, the subtype or the form is not known: the action is kept opaque then. */
function readNicira(reader: Reader, start: number, end: number): Action | undefined {
  const { view } = reader;
  if (end - start < 16 || view.getUint32(start + 4) !== NICIRA_EXPERIMENTER) return undefined;
  const subtype = view.getUint16(start + 8);
  reader.offset = start + 10;
  if (subtype === RESUBMIT_TO_PORT) {
    return end - start === 16 ? { type: 'resubmit', port: portFrom16(reader.u16()) } : undefined;
  }
  const codec = NICIRA_BY_SUBTYPE[subtype];
  if (codec === undefined || (codec.length !== 0 && codec.length !== end - start)) return undefined;
  return codec.read(reader, end);
}
