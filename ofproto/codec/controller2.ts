/** The properties of NXAST_CONTROLLER2. */
import type { ActionOf } from '../actions.js';
import type { Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import {
  flagProperty,
  U16_LENGTH,
  readProperties,
  u16Property,
  u32Property,
  u8Property,
  bytesProperty,
} from './properties.js';

const PROPERTY = { MAX_LEN: 0, CONTROLLER_ID: 1, REASON: 2, USERDATA: 3, PAUSE: 4, METER_ID: 5 } as const;

export function writeController2Properties(writer: Writer, action: ActionOf<'controller2'>): void {
  writer.skip(6);
  if (action.maxLen !== undefined) u16Property(writer, PROPERTY.MAX_LEN, action.maxLen);
  if (action.controllerId !== undefined) u16Property(writer, PROPERTY.CONTROLLER_ID, action.controllerId);
  if (action.reason !== undefined) u8Property(writer, PROPERTY.REASON, action.reason);
  if (action.userdata !== undefined) bytesProperty(writer, PROPERTY.USERDATA, action.userdata);
  if (action.pause === true) flagProperty(writer, PROPERTY.PAUSE);
  if (action.meterId !== undefined) u32Property(writer, PROPERTY.METER_ID, action.meterId);
}

type Fields = { -readonly [K in keyof ActionOf<'controller2'>]: ActionOf<'controller2'>[K] };

export function readController2Properties(reader: Reader, end: number): ActionOf<'controller2'> | undefined {
  reader.offset += 6;
  const action: Fields = { type: 'controller2' };
  let last = -1;
  // Properties in another order, twice or of another kind would be lost: such an action is kept opaque.
  const complete = readProperties(reader, end, (number, length) => {
    if (number <= last) return false;
    last = number;
    switch (number) {
      case PROPERTY.MAX_LEN:
        if (length !== U16_LENGTH) return false;
        action.maxLen = reader.u16();
        return true;
      case PROPERTY.CONTROLLER_ID:
        if (length !== U16_LENGTH) return false;
        action.controllerId = reader.u16();
        return true;
      case PROPERTY.REASON:
        if (length !== 1) return false;
        action.reason = reader.u8();
        return true;
      case PROPERTY.USERDATA:
        action.userdata = reader.take(length);
        return true;
      case PROPERTY.PAUSE:
        action.pause = true;
        return length === 0;
      case PROPERTY.METER_ID:
        if (length !== 4) return false;
        action.meterId = reader.u32();
        return true;
      default:
        return false;
    }
  });
  return complete ? action : undefined;
}
