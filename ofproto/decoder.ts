/** Bytes to messages: frames and parses what comes from a connection. */
import { messageTypeName, readMessage } from './codec/messages.js';
import { HEADER_LENGTH, MAX_MESSAGE_LENGTH, OFP_VERSION } from './constants.js';
import { BadRequestCode, ErrorType, errorName, HelloFailedCode } from './errors.js';
import type { Message } from './messages.js';
import { PacketInView } from './packet-in-view.js';
import { Malformed, Reader } from './wire/reader.js';

/** The eight bytes at the start of every message. */
export interface MessageHeader {
  readonly version: number;
  readonly type: number;
  readonly length: number;
  readonly xid: number;
}

/** Bytes that are not a message of OpenFlow 1.3. */
export class DecodeError extends Error {
  /** Stable name of this kind of error. */
  readonly code = 'OFPROTO_MALFORMED';

  constructor(
    readonly header: MessageHeader,
    /** Type and code of the error message with which to answer. */
    readonly errorType: number,
    readonly errorCode: number,
    /** Bytes from the start of the message to where it breaks the specification. */
    readonly offset: number,
    readonly reason: string,
    /** The framing is lost: nothing more is decoded and the connection should be closed. */
    readonly fatal: boolean,
    /** The start of the message, at most 64 bytes, as an error message quotes it. */
    readonly data: Uint8Array,
  ) {
    super(
      `malformed ${messageTypeName(header.type)} (xid ${header.xid}) at byte ${offset}: ${reason} ` +
        `(${errorName(errorType, errorCode)})`,
    );
    this.name = 'DecodeError';
  }

  get xid(): number {
    return this.header.xid;
  }
}

/** Where a decoder delivers, in the order of the bytes. Must not throw: the rest of the bytes at hand would be lost. */
export interface DecoderEvents {
  message(message: Message): void;
  malformed(error: DecodeError): void;
  /** Looks at packet-ins before they are decoded; true: it is dealt with, and `message` does not get it. */
  packetIn?(packetIn: PacketInView): boolean;
}

export interface DecoderOptions {
  /** Longest message taken, in bytes; a longer one is fatal. Default 65,535, all that the length field can say. */
  readonly maxMessageLength?: number;
}

const QUOTED = 64;
const INITIAL_BUFFER = 4096;
const HELLO = 0;
const ERROR = 1;
const EXPERIMENTER = 4;
const PACKET_IN = 10;
const EMPTY = new Uint8Array(0);
const EMPTY_VIEW = new DataView(EMPTY.buffer);

/**
 * Decodes the byte stream of one connection. Whole messages are parsed where they lie; the start of a message whose
 * end has not come is kept in a buffer, never more than one message. A malformed message is reported and skipped; a
 * header that says less than 8 bytes, too many, or another version (hello and error apart, which negotiate it) is
 * fatal: after it `push` ignores everything.
 */
export class Decoder {
  private readonly maxMessageLength: number;
  private readonly reader = new Reader(EMPTY);
  private readonly packetInView = new PacketInView();
  /** The start of an unfinished message is in its first `held` bytes. */
  private partial = EMPTY;
  private held = 0;
  private dead = false;

  constructor(
    private readonly events: DecoderEvents,
    options: DecoderOptions = {},
  ) {
    this.maxMessageLength = options.maxMessageLength ?? MAX_MESSAGE_LENGTH;
  }

  /** Whether a fatal error has been reported. */
  get failed(): boolean {
    return this.dead;
  }

  /** Bytes of an unfinished message held back. */
  get buffered(): number {
    return this.held;
  }

  /** Takes the next bytes of the connection. Nothing refers to them after the call. */
  push(received: Uint8Array): void {
    // A Buffer's own slice() does not copy, and a message must not hold views of what the socket read.
    const chunk =
      received.constructor === Uint8Array
        ? received
        : new Uint8Array(received.buffer, received.byteOffset, received.length);
    let from = 0;
    while (this.held > 0 && from < chunk.length && !this.dead) from = this.complete(chunk, from);
    if (this.dead || from === chunk.length) return;
    const rest = this.decodeAll(chunk, from);
    if (rest < chunk.length && !this.dead) this.hold(chunk.subarray(rest));
  }

  /** Adds to the unfinished message what it lacks, decodes it if it is whole, and returns what of `chunk` is left. */
  private complete(chunk: Uint8Array, from: number): number {
    const lacking = this.lacking();
    const to = Math.min(chunk.length, from + lacking);
    this.hold(chunk.subarray(from, to));
    if (to - from === lacking && this.lacking() === 0) {
      const whole = this.partial.subarray(0, this.held);
      this.held = 0;
      if (this.partial.length > INITIAL_BUFFER) this.partial = EMPTY;
      this.decodeAll(whole, 0);
    }
    return to;
  }

  /** Bytes missing from the unfinished message: up to the end of its header, or of itself where that is known. */
  private lacking(): number {
    if (this.held < HEADER_LENGTH) return HEADER_LENGTH - this.held;
    const length = ((this.partial[2] ?? 0) << 8) | (this.partial[3] ?? 0);
    return Math.max(0, length - this.held);
  }

  private hold(bytes: Uint8Array): void {
    const needed = this.held + bytes.length;
    if (needed > this.partial.length) {
      const larger = new Uint8Array(Math.max(needed, 2 * this.partial.length, INITIAL_BUFFER));
      larger.set(this.partial.subarray(0, this.held));
      this.partial = larger;
    }
    this.partial.set(bytes, this.held);
    this.held = needed;
  }

  /** Decodes the whole messages of `bytes` from `start` on; returns where the first unfinished one starts. */
  private decodeAll(bytes: Uint8Array, start: number): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const offset = this.decodeFrom(bytes, view, start);
    // An idle connection must not keep the last chunk alive.
    this.reader.bytes = EMPTY;
    this.reader.view = EMPTY_VIEW;
    this.packetInView.bytes = EMPTY;
    this.packetInView.view = EMPTY_VIEW;
    return offset;
  }

  private decodeFrom(bytes: Uint8Array, view: DataView, start: number): number {
    const { reader } = this;
    let offset = start;
    while (offset + HEADER_LENGTH <= bytes.length) {
      const length = view.getUint16(offset + 2);
      if (length < HEADER_LENGTH || length > this.maxMessageLength) {
        this.fail(bytes, view, offset, BadRequestCode.BAD_LEN, `the header says ${length} bytes`);
        return bytes.length;
      }
      const version = view.getUint8(offset);
      const number = view.getUint8(offset + 1);
      if (version !== OFP_VERSION && number !== HELLO && number !== ERROR) {
        this.fail(bytes, view, offset, undefined, `version ${version}; this is a ${OFP_VERSION} connection`);
        return bytes.length;
      }
      const end = offset + length;
      if (end > bytes.length) return offset;
      if (
        (number === PACKET_IN || number === EXPERIMENTER) &&
        this.events.packetIn !== undefined &&
        this.packetInView.read(bytes, view, offset, end) &&
        this.events.packetIn(this.packetInView)
      ) {
        offset = end;
        continue;
      }
      reader.bytes = bytes;
      reader.view = view;
      reader.offset = offset;
      reader.depth = 0;
      let message: Message | undefined;
      let error: DecodeError | undefined;
      try {
        message = readMessage(reader, end);
      } catch (thrown) {
        error = this.malformed(bytes, view, offset, thrown);
      }
      offset = end;
      if (message !== undefined) this.events.message(message);
      else if (error !== undefined) this.events.malformed(error);
    }
    return offset;
  }

  private malformed(bytes: Uint8Array, view: DataView, offset: number, thrown: unknown): DecodeError {
    // A RangeError is a read past the end of the buffer: a length check is missing, and the message is bad all the same.
    const cause =
      thrown instanceof Malformed
        ? thrown
        : new Malformed(ErrorType.BAD_REQUEST, BadRequestCode.BAD_LEN, offset, String(thrown));
    return new DecodeError(
      headerAt(view, offset),
      cause.errorType,
      cause.code,
      cause.offset - offset,
      cause.message,
      false,
      quote(bytes, offset),
    );
  }

  private fail(
    bytes: Uint8Array,
    view: DataView,
    offset: number,
    code: number | undefined,
    reason: string,
  ): void {
    this.dead = true;
    this.partial = EMPTY;
    this.held = 0;
    const type = code === undefined ? ErrorType.HELLO_FAILED : ErrorType.BAD_REQUEST;
    this.events.malformed(
      new DecodeError(
        headerAt(view, offset),
        type,
        code ?? HelloFailedCode.INCOMPATIBLE,
        code === undefined ? 0 : 2,
        reason,
        true,
        quote(bytes, offset),
      ),
    );
  }
}

function headerAt(view: DataView, offset: number): MessageHeader {
  return {
    version: view.getUint8(offset),
    type: view.getUint8(offset + 1),
    length: view.getUint16(offset + 2),
    xid: view.getUint32(offset + 4),
  };
}

const quote = (bytes: Uint8Array, offset: number): Uint8Array =>
  bytes.slice(offset, Math.min(bytes.length, offset + QUOTED));

/**
 * Decodes bytes that are exactly one message.
 * @throws DecodeError where they are not.
 */
export function decode(bytes: Uint8Array): Message {
  let message: Message | undefined;
  let error: DecodeError | undefined;
  const decoder = new Decoder({
    message: (m) => (message ??= m),
    malformed: (e) => (error ??= e),
  });
  decoder.push(bytes);
  if (error !== undefined) throw error;
  const length = bytes.length >= 4 ? ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0) : 0;
  if (message === undefined || length !== bytes.length) {
    throw new RangeError(`${bytes.length} bytes are not one message; the header says ${length}`);
  }
  return message;
}
