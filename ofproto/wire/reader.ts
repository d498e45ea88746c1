/** A cursor over received bytes. Every structure checks its length before its fields are read. */
import { BadRequestCode, ErrorType } from '../errors.js';

/** Thrown inside the decoder where bytes break the specification; the Decoder turns it into a DecodeError. */
export class Malformed extends Error {
  constructor(
    readonly errorType: number,
    readonly code: number,
    readonly offset: number,
    reason: string,
  ) {
    super(reason);
    this.name = 'Malformed';
  }
}

export class Reader {
  bytes: Uint8Array;
  view: DataView;
  offset = 0;
  /** How deep actions are nested in actions at the moment. */
  depth = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Checks that `count` bytes lie between here and `end`. */
  need(count: number, end: number, what: string): void {
    if (this.offset + count > end) this.tooShort(count, end, what);
  }

  u8(): number {
    return this.view.getUint8(this.offset++);
  }

  u16(): number {
    const value = this.view.getUint16(this.offset);
    this.offset += 2;
    return value;
  }

  u32(): number {
    const value = this.view.getUint32(this.offset);
    this.offset += 4;
    return value;
  }

  u48(): number {
    const value = this.view.getUint16(this.offset) * 0x100000000 + this.view.getUint32(this.offset + 2);
    this.offset += 6;
    return value;
  }

  u64(): bigint {
    const value = this.view.getBigUint64(this.offset);
    this.offset += 8;
    return value;
  }

  u128(): bigint {
    const high = this.u64();
    return (high << 64n) | this.u64();
  }

  /** A copy of the bytes from here to `end`. */
  rest(end: number): Uint8Array {
    return this.take(end - this.offset);
  }

  /** A copy of `count` bytes. */
  take(count: number): Uint8Array {
    if (count <= 0) return EMPTY;
    const bytes = this.bytes.slice(this.offset, this.offset + count);
    this.offset += count;
    return bytes;
  }

  /** Text in UTF-8 from a field of `size` bytes, up to the first zero byte. */
  text(size: number): string {
    const field = this.bytes.subarray(this.offset, this.offset + size);
    this.offset += size;
    const end = field.indexOf(0);
    return decoder.decode(end < 0 ? field : field.subarray(0, end));
  }

  /**
   * Reads type-independent length bytes: checks that the two bytes at `at` hold a length between `minimum` and what is
   * left, and returns where the structure that started at `start` ends.
   */
  bounded(at: number, start: number, minimum: number, end: number, what: string): number {
    const length = this.view.getUint16(at);
    if (length < minimum || start + length > end) {
      throw new Malformed(
        ErrorType.BAD_REQUEST,
        BadRequestCode.BAD_LEN,
        at,
        `${what} says it is ${length} bytes long; it needs at least ${minimum} and there are ${end - start}`,
      );
    }
    return start + length;
  }

  private tooShort(count: number, end: number, what: string): never {
    throw new Malformed(
      ErrorType.BAD_REQUEST,
      BadRequestCode.BAD_LEN,
      this.offset,
      `${what} needs ${count} bytes where ${Math.max(0, end - this.offset)} are left`,
    );
  }
}

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();
