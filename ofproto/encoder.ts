/** Messages to bytes. */
import { writeMessage } from './codec/messages.js';
import { HEADER_LENGTH, MAX_MESSAGE_LENGTH, OFP_VERSION } from './constants.js';
import type { Message } from './messages.js';
import { ONF_EXPERIMENTER } from './oxm/extensions.js';
import { ValueOutOfRange, Writer } from './wire/writer.js';

/** A message that does not fit into the 16 bits of its length field; nothing of it has been written. */
export class MessageTooLong extends Error {
  readonly code = 'OFPROTO_MESSAGE_TOO_LONG';

  constructor(
    /** `type` of the message. */
    readonly messageType: string,
    /** Bytes the message would take. */
    readonly length: number,
  ) {
    super(
      `${messageType} of ${length} bytes: an OpenFlow message has at most ${MAX_MESSAGE_LENGTH}; ` +
        'split it (chain groups, or send several multipart parts)',
    );
    this.name = 'MessageTooLong';
  }
}

/** Writes a whole message or nothing. */
function writeChecked(writer: Writer, message: Message): number {
  const start = writer.begin();
  try {
    writeMessage(writer, message);
  } catch (error) {
    writer.rollback(start);
    throw located(error, message);
  }
  const length = writer.offset - start;
  if (length > MAX_MESSAGE_LENGTH) {
    writer.rollback(start);
    throw new MessageTooLong(message.type, length);
  }
  return length;
}

/** The same error, saying which message it is about, and where in it the value is. */
function located(error: unknown, message: Message): unknown {
  if (!(error instanceof ValueOutOfRange)) return error;
  const places = placesOf(error.value, message);
  const where = places.length > 0 ? places.join(' or ') : error.where;
  return new ValueOutOfRange(
    error.value,
    error.bits,
    where === undefined ? message.type : `${where} of ${message.type}`,
  );
}

/** Paths such as `instructions[0].actions[1].portMax`. */
function placesOf(value: unknown, within: object, path = ''): string[] {
  if (ArrayBuffer.isView(within)) return [];
  return Object.entries(within).flatMap(([name, member]: [string, unknown]) => {
    const place = Array.isArray(within) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`;
    if (Object.is(member, value)) return [place];
    // Field descriptors are not of the message; their numbers are no values of it.
    return typeof member === 'object' && member !== null && name !== 'field'
      ? placesOf(value, member, place)
      : [];
  });
}

export interface EncoderOptions {
  /** Bytes allocated at a time, at least 4096. Default 65,536; a connection that sends little can do with less. */
  readonly slabSize?: number;
}

/**
 * Appends messages into a slab; `take` gives what has accumulated, to be written to a socket at once. Slabs are never
 * reused, so what was taken may still be on its way while more is appended.
 */
export class Encoder {
  private readonly writer: Writer;

  constructor(options: EncoderOptions = {}) {
    this.writer = new Writer(options.slabSize ?? 65_536);
  }

  /** Bytes waiting for `take`. */
  get pending(): number {
    return this.writer.pending;
  }

  /**
   * Appends a message; returns its length in bytes.
   * @throws MessageTooLong where it would pass 65,535 bytes, ValueOutOfRange where a number is too wide for its field;
   * nothing is written then.
   */
  append(message: Message): number {
    return writeChecked(this.writer, message);
  }

  /** Appends bytes that are whole messages already. */
  appendBytes(bytes: Uint8Array): void {
    this.writer.begin();
    this.writer.raw(bytes);
  }

  /**
   * Appends a packet-out: `head`, which is an encoded one without a packet, and the packet, the bytes of `packet` from `from` up to `to`.
   * Returns its length.
   * @throws MessageTooLong as `append`.
   */
  appendPacketOut(head: Uint8Array, packet: Uint8Array, from: number, to: number): number {
    const { writer } = this;
    const length = head.length + to - from;
    if (length > MAX_MESSAGE_LENGTH) throw new MessageTooLong('packet_out', length);
    const start = writer.begin();
    writer.reserve(length);
    const { bytes } = writer;
    let at = start;
    // Short pieces are copied faster this way than by a call.
    for (let i = 0; i < head.length; i++) bytes[at++] = head[i] as number;
    if (to - from > LONG_PACKET) {
      bytes.set(packet.subarray(from, to), at);
      at += to - from;
    } else for (let i = from; i < to; i++) bytes[at++] = packet[i] as number;
    bytes[start + 2] = length >>> 8;
    bytes[start + 3] = length & 0xff;
    writer.offset = at;
    return length;
  }

  /**
   * Appends a message wrapped into BUNDLE_ADD_MESSAGE (ONF EXT-230), both with `xid`, as Open vSwitch demands; returns
   * the length of both. Saves the wrapping object of `append`.
   * @throws MessageTooLong (the 24 bytes of the wrapping included) and ValueOutOfRange as `append`.
   */
  appendToBundle(bundleId: number, flags: number, xid: number, message: Message): number {
    const { writer } = this;
    const start = writer.begin();
    writer.reserve(BUNDLE_ADD_LENGTH);
    const { view } = writer;
    if (xid >>> 0 !== xid) throw new ValueOutOfRange(xid, 32, 'xid of bundle_add_message');
    if (bundleId >>> 0 !== bundleId)
      throw new ValueOutOfRange(bundleId, 32, 'bundleId of bundle_add_message');
    if ((flags & 0xffff) !== flags) throw new ValueOutOfRange(flags, 16, 'flags of bundle_add_message');
    view.setUint8(start, OFP_VERSION);
    view.setUint8(start + 1, EXPERIMENTER);
    view.setUint32(start + 4, xid);
    view.setUint32(start + 8, ONF_EXPERIMENTER);
    view.setUint32(start + 12, BUNDLE_ADD_MESSAGE);
    view.setUint32(start + 16, bundleId);
    view.setUint16(start + 22, flags);
    writer.offset = start + BUNDLE_ADD_LENGTH;
    try {
      writeMessage(writer, message, xid);
    } catch (error) {
      writer.rollback(start);
      throw located(error, message);
    }
    const length = writer.offset - start;
    if (length > MAX_MESSAGE_LENGTH) {
      writer.rollback(start);
      throw new MessageTooLong(`bundle_add_message of ${message.type}`, length);
    }
    view.setUint16(start + 2, length);
    return length;
  }

  /** Everything appended since the last call, as one piece. It must not be written to. Empty where there is nothing. */
  take(): Uint8Array {
    return this.writer.take();
  }
}

/** Bytes from which on a call that copies is worth it. */
const LONG_PACKET = 256;
const EXPERIMENTER = 4;
const BUNDLE_ADD_MESSAGE = 2301;
/** Bytes of BUNDLE_ADD_MESSAGE before the message in it. */
const BUNDLE_ADD_LENGTH = HEADER_LENGTH + 16;

const shared = new Writer(65_536);

/**
 * One message as bytes. They are a view of a larger buffer, as those of `Buffer.from` are, and must not be written to.
 * @throws MessageTooLong where it would pass 65,535 bytes, ValueOutOfRange where a number is too wide for its field.
 */
export function encode(message: Message): Uint8Array {
  writeChecked(shared, message);
  return shared.take();
}

/** Bytes the message takes, which may be more than a message can have. As much work as encoding it. */
export function encodedLength(message: Message): number {
  const start = shared.begin();
  try {
    writeMessage(shared, message);
    return shared.offset - start;
  } finally {
    shared.rollback(start);
  }
}
