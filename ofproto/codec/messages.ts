/** Whole messages to bytes and back: the header, the tables of all types, experimenters and bundles. */
import { HEADER_LENGTH, OFP_VERSION } from '../constants.js';
import { BadRequestCode, ErrorType } from '../errors.js';
import type { BundleAddMessage, Message } from '../messages.js';
import { NICIRA_EXPERIMENTER, ONF_EXPERIMENTER } from '../oxm/extensions.js';
import { Malformed, type Reader } from '../wire/reader.js';
import type { Writer } from '../wire/writer.js';
import { type AnyMessageCodec, messageCodec } from './message-codec.js';
import { NICIRA_MESSAGES } from './nicira-messages.js';
import { ONF_MESSAGES, readBundleProperties, writeBundleProperties } from './onf-messages.js';
import { STANDARD_MESSAGES } from './standard-messages.js';

const EXPERIMENTER = 4;
const EXPERIMENTER_HEAD_LENGTH = 8;

const BUNDLE_ADD_MESSAGE = messageCodec<'bundle_add_message'>({
  type: 'bundle_add_message',
  number: 2301,
  minimum: 8 + HEADER_LENGTH,
  write(writer, message) {
    writer.u32(message.bundleId);
    writer.skip(2);
    writer.u16(message.flags);
    const start = writer.offset;
    writeMessage(writer, message.message, message.xid);
    if (message.properties === undefined || message.properties.length === 0) return;
    // The message is padded only where properties follow it.
    writer.pad8(start);
    writeBundleProperties(writer, message.properties);
  },
  read: readBundleAdd,
});

interface Placed {
  readonly codec: AnyMessageCodec;
  /** Undefined where the message is not an experimenter's. */
  readonly experimenter: number | undefined;
}

const ALL_ONF = [...ONF_MESSAGES, BUNDLE_ADD_MESSAGE];
const place =
  (experimenter: number | undefined) =>
  (codec: AnyMessageCodec): readonly [string, Placed] => [codec.type, { codec, experimenter }];

const BY_TYPE: Readonly<Record<string, Placed>> = Object.fromEntries([
  ...STANDARD_MESSAGES.map(place(undefined)),
  ...ALL_ONF.map(place(ONF_EXPERIMENTER)),
  ...NICIRA_MESSAGES.map(place(NICIRA_EXPERIMENTER)),
]);

const STANDARD_BY_NUMBER: (AnyMessageCodec | undefined)[] = Array.from({ length: 256 });
for (const codec of STANDARD_MESSAGES) STANDARD_BY_NUMBER[codec.number] = codec;

const bySubtype = (codecs: readonly AnyMessageCodec[]): ReadonlyMap<number, AnyMessageCodec> =>
  new Map(codecs.map((codec) => [codec.number, codec]));
const EXPERIMENTERS: ReadonlyMap<number, ReadonlyMap<number, AnyMessageCodec>> = new Map([
  [ONF_EXPERIMENTER, bySubtype(ALL_ONF)],
  [NICIRA_EXPERIMENTER, bySubtype(NICIRA_MESSAGES)],
]);

/** Appends a message with its header. `xid` replaces the message's own. The length is not checked here. */
export function writeMessage(writer: Writer, message: Message, xid: number = message.xid): void {
  const start = writer.offset;
  writer.reserve(HEADER_LENGTH + EXPERIMENTER_HEAD_LENGTH);
  const { view } = writer;
  if (message.type === 'hello') writer.u8(message.version);
  else view.setUint8(start, OFP_VERSION);
  writer.offset = start + 4;
  writer.u32(xid);
  const placed = BY_TYPE[message.type];
  if (placed === undefined) {
    writeUnknown(writer, message, start);
  } else if (placed.experimenter === undefined) {
    view.setUint8(start + 1, placed.codec.number);
    writer.offset = start + HEADER_LENGTH;
    placed.codec.write(writer, message);
  } else {
    view.setUint8(start + 1, EXPERIMENTER);
    view.setUint32(start + 8, placed.experimenter);
    view.setUint32(start + 12, placed.codec.number);
    writer.offset = start + HEADER_LENGTH + EXPERIMENTER_HEAD_LENGTH;
    placed.codec.write(writer, message);
  }
  writer.patchLength(start + 2, start);
}

function writeUnknown(writer: Writer, message: Message, start: number): void {
  writer.offset = start + HEADER_LENGTH;
  if (message.type === 'experimenter') {
    writer.view.setUint8(start + 1, EXPERIMENTER);
    writer.u32(message.experimenter);
    writer.u32(message.experimenterType);
    writer.raw(message.data);
  } else if (message.type === 'opaque') {
    writer.offset = start + 1;
    writer.u8(message.number);
    writer.offset = start + HEADER_LENGTH;
    writer.raw(message.data);
  } else {
    throw new TypeError(`message of unknown type '${message.type}'`);
  }
}

/** The name of a message type number, for errors. */
export function messageTypeName(number: number): string {
  return STANDARD_BY_NUMBER[number]?.type ?? (number === EXPERIMENTER ? 'experimenter' : `type ${number}`);
}

/**
 * Reads the message whose header starts at the reader's offset and which ends at `end`.
 * @throws Malformed where the bytes break the specification.
 */
export function readMessage(reader: Reader, end: number): Message {
  const start = reader.offset;
  const number = reader.view.getUint8(start + 1);
  const xid = reader.view.getUint32(start + 4);
  reader.offset = start + HEADER_LENGTH;
  const codec = STANDARD_BY_NUMBER[number];
  if (codec !== undefined) {
    reader.need(codec.minimum, end, codec.type);
    return codec.read(reader, end, xid);
  }
  if (number !== EXPERIMENTER) return { type: 'opaque', xid, number, data: reader.rest(end) };
  reader.need(EXPERIMENTER_HEAD_LENGTH, end, 'experimenter message');
  const experimenter = reader.u32();
  const experimenterType = reader.u32();
  const known = EXPERIMENTERS.get(experimenter)?.get(experimenterType);
  if (known === undefined) {
    return { type: 'experimenter', xid, experimenter, experimenterType, data: reader.rest(end) };
  }
  reader.need(known.minimum, end, known.type);
  return known.read(reader, end, xid);
}

function readBundleAdd(reader: Reader, end: number, xid: number): BundleAddMessage {
  if (reader.depth > 0) {
    throw new Malformed(
      ErrorType.BAD_REQUEST,
      BadRequestCode.BAD_EXP_TYPE,
      reader.offset,
      'a bundle_add_message inside a bundle_add_message',
    );
  }
  const bundleId = reader.u32();
  reader.offset += 2;
  const flags = reader.u16();
  const start = reader.offset;
  const innerEnd = reader.bounded(start + 2, start, HEADER_LENGTH, end, 'message in a bundle');
  if (reader.view.getUint8(start) !== OFP_VERSION) {
    throw new Malformed(
      ErrorType.BAD_REQUEST,
      BadRequestCode.BAD_VERSION,
      start,
      `a message of version ${reader.view.getUint8(start)} in a bundle of version ${OFP_VERSION}`,
    );
  }
  reader.depth += 1;
  const message = readMessage(reader, innerEnd);
  reader.depth -= 1;
  reader.offset = Math.min(end, start + ((innerEnd - start + 7) & ~7));
  return {
    type: 'bundle_add_message',
    xid,
    bundleId,
    flags,
    message,
    ...readBundleProperties(reader, end),
  };
}
